import tseslint from 'typescript-eslint';

/** What the core may not touch although the language offers it: time and chance come in as inputs. */
const IMPURE = [
  {
    selector: "MemberExpression[object.name='Date'][property.name='now']",
    message: 'the core reads no clock: take the time from the input',
  },
  {
    selector: "NewExpression[callee.name='Date'][arguments.length=0]",
    message: 'the core reads no clock: take the time from the input',
  },
  {
    selector: "CallExpression[callee.name='Date']",
    message: 'the core reads no clock: take the time from the input',
  },
  {
    selector: "MemberExpression[object.name='Math'][property.name='random']",
    message: 'the core knows no chance: jitter is a hash of the request id',
  },
  {
    selector: "MemberExpression[object.name='Math'][computed=true]",
    message: 'name the function, so that it can be checked',
  },
  {
    selector: "MemberExpression[object.name='Date'][computed=true]",
    message: 'name the function, so that it can be checked',
  },
  {
    selector: 'VariableDeclarator[init.name=/^(Date|Math)$/]',
    message: 'call it by its own name, so that it can be checked',
  },
  {
    selector: 'ImportExpression',
    message: 'the core loads nothing at run time',
  },
  {
    selector: "MetaProperty[meta.name='import']",
    message: 'the core does not know where it lives',
  },
];

const OUTSIDE = [
  ...['process', 'Buffer', 'fetch', 'globalThis', 'global', 'performance', 'crypto', 'console'],
  ...['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'require', 'WebSocket'],
].map((name) => ({ name, message: 'the core is pure: the shell does this for it' }));

const NO_FIXED_RUNTIME = {
  regex: '^(node:|fs$|path$|http$|https$|net$|tls$|crypto$|os$|child_process$|worker_threads$)',
  message: 'the core is pure: nothing of Node here',
};

export default tseslint.config(
  {
    // The canary must fail: test/house/canary.test.ts runs the linter over it.
    ignores: ['dist/', 'coverage/', 'bench/results/', '.tmp/', '.vitest/', 'test/house/canary/'],
  },
  {
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      'no-debugger': 'error',
      'no-duplicate-case': 'error',
      'no-self-compare': 'error',
      'no-template-curly-in-string': 'error',
      // `for … of` that returns at once takes the first of an iterator.
      'no-unreachable-loop': ['error', { ignore: ['ForOfStatement'] }],
      'no-unsafe-finally': 'error',
      'no-unused-private-class-members': 'error',
      'no-var': 'error',
      'no-constant-binary-expression': 'error',
      'no-useless-backreference': 'error',
      'prefer-const': 'error',
      // `== null` asks for both kinds of nothing.
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'object-shorthand': 'error',
    },
  },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      // `() => queue.push(x)` as a callback and `return done()` are how this code reads.
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true },
      ],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      // `import('x').Y` types what is loaded when first needed.
      '@typescript-eslint/consistent-type-imports': ['error', { disallowTypeAnnotations: false }],
      // Ports are written as methods for brevity and made of closures: the rule takes every
      // destructuring of one for a lost `this`.
      '@typescript-eslint/unbound-method': 'off',
      // Node hands out sockets typed as streams; structural typing is what the ports rest on.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
    },
  },
  {
    // What is worth telling goes to the log, the ledger or the surface that was asked.
    files: ['src/**/*.ts', 'providers/**/*.ts', 'test/house/canary/**/*.ts'],
    rules: { 'no-console': 'error' },
  },
  {
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      // Matchers and parsed JSON are `any`; what a test gets wrong there fails as a test.
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-misused-spread': 'off',
      '@typescript-eslint/use-unknown-in-catch-callback-variable': 'off',
    },
  },
  {
    files: ['bin/**/*.js'],
    // Parsed by runtimes far older than the one it asks for.
    languageOptions: { ecmaVersion: 2020 },
    rules: { 'no-var': 'off', 'prefer-const': 'off', 'object-shorthand': 'off' },
  },
  {
    files: ['src/core/**/*.ts', 'providers/**/*.ts', 'test/house/canary/core/**/*.ts'],
    rules: {
      'no-restricted-globals': ['error', ...OUTSIDE],
      'no-restricted-syntax': ['error', ...IMPURE],
      'no-restricted-imports': ['error', { patterns: [NO_FIXED_RUNTIME] }],
    },
  },
);
