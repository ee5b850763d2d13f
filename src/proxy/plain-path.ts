/** What might be written otherwise: `/repos/%61cme`, `/x/../repos/acme`, `//repos/acme`. */
const ODD = /%|\/\/|\/\./;
const UNRESERVED = /^[A-Za-z0-9\-._~]$/;

function decoded(escape: string): string {
  const char = String.fromCharCode(Number.parseInt(escape.slice(1), 16));
  return UNRESERVED.test(char) ? char : escape.toUpperCase();
}

/** RFC 3986 section 5.2.4, empty segments left out too. */
function withoutDots(path: string): string {
  const kept: string[] = [];
  const segments = path.split('/');
  const last = segments.at(-1) ?? '';
  for (const segment of segments) {
    if (segment === '..') kept.pop();
    else if (segment !== '' && segment !== '.') kept.push(segment);
  }
  const folder = last === '' || last === '.' || last === '..';
  return `/${kept.join('/')}${folder && kept.length > 0 ? '/' : ''}`;
}

/**
 * A request's path as rules and providers are shown it: equivalent spellings made one (RFC 3986
 * section 6.2.2), so that no rule is got around by writing its path another way. What is sent on
 * stays as the client wrote it. The query is left alone.
 */
export function plainPath(path: string): string {
  if (!ODD.test(path)) return path;
  const query = path.indexOf('?');
  const bare = query < 0 ? path : path.slice(0, query);
  if (!ODD.test(bare)) return path;
  const plain = withoutDots(bare.replace(/%[0-9a-f]{2}/gi, decoded));
  return query < 0 ? plain : plain + path.slice(query);
}
