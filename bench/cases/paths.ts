/** Targets of the requests that are measured. */
export const ISSUES_PATH = '/repos/acme/project/issues';
export const GET_PATH = `${ISSUES_PATH}/1`;
