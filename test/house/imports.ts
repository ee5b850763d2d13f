/** What a source file takes from where, read from its syntax tree. */
import { posix } from 'node:path';
import ts from 'typescript';

export interface Import {
  /** Path of the importing file relative to the repository. */
  readonly from: string;
  /** Path of the imported file relative to the repository, or the package's name. */
  readonly to: string;
  readonly local: boolean;
  /** Nothing of it is left at run time. */
  readonly typeOnly: boolean;
}

export function importsOf(path: string, text: string): Import[] {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const found: Import[] = [];
  const add = (node: ts.Node | undefined, typeOnly: boolean): void => {
    if (node !== undefined && ts.isStringLiteralLike(node)) {
      found.push({ from: path, ...target(path, node.text), typeOnly });
    }
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      add(node.moduleSpecifier, isTypeOnly(node.importClause));
    } else if (ts.isExportDeclaration(node)) {
      add(node.moduleSpecifier, node.isTypeOnly);
    } else if (ts.isImportTypeNode(node)) {
      add(ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, true);
    } else if (ts.isCallExpression(node) && loads(node.expression)) {
      add(node.arguments[0], false);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function loads(called: ts.Expression): boolean {
  return (
    called.kind === ts.SyntaxKind.ImportKeyword ||
    (ts.isIdentifier(called) && called.text === 'require')
  );
}

function isTypeOnly(clause: ts.ImportClause | undefined): boolean {
  if (clause === undefined) return false;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const names = clause.namedBindings;
  return (
    clause.name === undefined &&
    names !== undefined &&
    ts.isNamedImports(names) &&
    names.elements.length > 0 &&
    names.elements.every((element) => element.isTypeOnly)
  );
}

function target(path: string, specifier: string): { to: string; local: boolean } {
  if (specifier.startsWith('.')) {
    return { to: posix.normalize(posix.join(posix.dirname(path), specifier)), local: true };
  }
  if (specifier.startsWith('node:')) return { to: specifier, local: false };
  const depth = specifier.startsWith('@') ? 2 : 1;
  return { to: specifier.split('/').slice(0, depth).join('/'), local: false };
}
