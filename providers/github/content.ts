import { afterRepo } from './route.ts';

/**
 * Which requests create content, for the 80-a-minute and 500-an-hour limits. GitHub lists none, so
 * this is a reading of it: what people see appear and are notified of. Git objects, statuses, check
 * runs, labels and dispatches are machine traffic and not counted.
 * https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
 */
const CREATING_ENDS = new Set([
  'issues',
  'comments',
  'pulls',
  'reviews',
  'replies',
  'sub_issues',
  'releases',
  'discussions',
  'requested_reviewers',
  'invitations',
  'forks',
  'generate',
  'gists',
  'repos',
  'milestones',
]);

/** @param path the API's own path, without query. */
export function createsContent(method: string, path: string): boolean {
  if (method === 'POST') {
    const last = path.slice(path.lastIndexOf('/') + 1);
    if (CREATING_ENDS.has(last)) return true;
    // Submitting a pending review publishes its comments.
    return last === 'events' && path.includes('/reviews/');
  }
  // Merging and inviting a collaborator notify people as a new comment does.
  if (method !== 'PUT' || !path.startsWith('/repos/')) return false;
  const rest = afterRepo(path);
  return (
    rest.startsWith('/collaborators/') || (rest.startsWith('/pulls/') && rest.endsWith('/merge'))
  );
}

const CREATING_MUTATIONS = new Set([
  'addComment',
  'addDiscussionComment',
  'addPullRequestReview',
  'addPullRequestReviewComment',
  'addPullRequestReviewThread',
  'addPullRequestReviewThreadReply',
  'cloneTemplateRepository',
  'createDiscussion',
  'createIssue',
  'createPullRequest',
  'createRepository',
  'mergePullRequest',
  'requestReviews',
  'revertPullRequest',
  'submitPullRequestReview',
]);

export function mutationCreatesContent(fieldName: string): boolean {
  return CREATING_MUTATIONS.has(fieldName);
}
