/**
 * Figures and short answers typed from recorded public traffic and from the vendor's documents.
 * Where each comes from: README.md.
 */

/** Two users of one process in 2022: each has a window of his own, opened by his first request. */
export const WINDOW_START_S = 1658205399;
export const WINDOW_RESETS_S = { 1: 1658208999, 2: 1658209004 } as const;

/** `[seconds after WINDOW_START_S, user, method, status, used]`; limit 5,000, bucket core. */
export const WINDOW_ROWS: readonly (readonly [number, 1 | 2, string, number, number])[] = [
  [0, 1, 'POST', 201, 1],
  [2, 1, 'PUT', 201, 2],
  [3, 1, 'GET', 200, 3],
  [5, 2, 'PATCH', 204, 1],
  [7, 1, 'GET', 200, 4],
  [8, 1, 'DELETE', 204, 5],
  [9, 1, 'GET', 200, 6],
  [11, 1, 'DELETE', 204, 7],
  [13, 1, 'POST', 201, 8],
  [15, 1, 'POST', 201, 9],
  [19, 1, 'POST', 200, 10],
  [21, 1, 'DELETE', 204, 11],
  [23, 1, 'POST', 201, 12],
  [25, 1, 'PUT', 201, 13],
  [28, 1, 'PUT', 204, 14],
  [28, 1, 'GET', 404, 15],
  [31, 1, 'PUT', 200, 16],
  [34, 1, 'PUT', 200, 17],
  [37, 1, 'DELETE', 204, 18],
  [38, 1, 'POST', 201, 19],
  [40, 1, 'PUT', 201, 20],
  [43, 1, 'DELETE', 204, 21],
  [44, 1, 'POST', 201, 22],
  [46, 1, 'PUT', 201, 23],
  [49, 1, 'POST', 201, 24],
  [52, 1, 'POST', 201, 25],
  [56, 1, 'GET', 200, 26],
  [56, 1, 'GET', 200, 27],
  [56, 1, 'DELETE', 204, 28],
  [57, 1, 'POST', 201, 29],
  [60, 1, 'POST', 422, 30],
  [63, 1, 'DELETE', 204, 31],
  [70, 1, 'GET', 200, 35],
  [70, 1, 'GET', 200, 36],
  [70, 1, 'GET', 200, 37],
  [70, 1, 'GET', 200, 38],
  [70, 1, 'GET', 200, 39],
  [72, 1, 'POST', 201, 40],
  [74, 1, 'PUT', 201, 41],
  [77, 1, 'PUT', 201, 42],
  [77, 1, 'GET', 200, 43],
  [80, 1, 'POST', 201, 44],
  [83, 1, 'PATCH', 200, 45],
  [83, 1, 'GET', 200, 46],
  [86, 1, 'DELETE', 204, 47],
  [89, 1, 'DELETE', 204, 48],
  [90, 1, 'POST', 201, 49],
  [90, 1, 'GET', 200, 50],
  [92, 1, 'POST', 201, 51],
  [93, 1, 'GET', 200, 52],
  [95, 1, 'PATCH', 200, 53],
  [98, 1, 'DELETE', 204, 54],
  [101, 1, 'DELETE', 204, 55],
  [103, 1, 'POST', 201, 56],
  [105, 1, 'POST', 201, 57],
  [108, 1, 'PUT', 204, 58],
  [111, 1, 'DELETE', 204, 59],
  [114, 1, 'DELETE', 204, 60],
  [114, 1, 'PUT', 205, 61],
  [114, 1, 'POST', 200, 62],
  [117, 1, 'POST', 200, 63],
  [118, 1, 'POST', 201, 64],
  [121, 1, 'POST', 201, 65],
  [124, 1, 'POST', 201, 66],
  [127, 1, 'POST', 201, 67],
  [130, 1, 'POST', 201, 68],
  [133, 1, 'POST', 201, 69],
  [136, 1, 'POST', 201, 70],
  [139, 1, 'POST', 201, 71],
  [142, 1, 'POST', 201, 72],
];

/** Search in the same capture: first request at the first figure, reset at the second. */
export const SEARCH_WINDOW_S = { date: 1658205667, reset: 1658205727 } as const;

/** As in 2020: consecutive answers of one window whose reset flickers while `remaining` falls. */
export const JITTER: readonly { readonly remaining: number; readonly reset: number }[] = [
  { remaining: 4921, reset: 1_600_000_100 },
  { remaining: 4920, reset: 1_600_000_101 },
  { remaining: 4919, reset: 1_600_000_100 },
  { remaining: 4918, reset: 1_600_000_099 },
];

/** 2026: one key counted in two windows at once: `[used, minutes to the reset]`. */
export const TWO_WINDOWS: readonly (readonly [number, number])[] = [
  [129, 22],
  [45, 43],
  [130, 22],
  [46, 43],
];

/**
 * `GET /rate_limit` of a user, limits and windows as recorded in 2024: `[bucket, limit, used, reset −
 * date]` in seconds. Three buckets are given some use.
 */
export const RATE_LIMIT_DATE_S = 1734071298;
export const RATE_LIMIT_ROWS: readonly (readonly [string, number, number, number])[] = [
  ['core', 5000, 7, 1200],
  ['search', 30, 0, 60],
  ['graphql', 5000, 4, 900],
  ['integration_manifest', 5000, 0, 3600],
  ['source_import', 100, 0, 60],
  ['code_scanning_upload', 1000, 0, 3600],
  ['code_scanning_autofix', 10, 0, 60],
  ['actions_runner_registration', 10000, 0, 3600],
  ['scim', 15000, 0, 3600],
  ['dependency_snapshots', 100, 0, 60],
  ['audit_log', 1750, 0, 3600],
  ['audit_log_streaming', 15, 0, 3600],
  ['code_search', 10, 0, 60],
];
