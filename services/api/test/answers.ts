/** What the API answered, checked: a job or a problem. */
import assert from 'node:assert/strict';
import { checker, JobViewSchema, type JobView, type Problem } from '@blindfit/protocol';

export const asJob = checker('not a job', JobViewSchema);

export async function jobOf(response: Response, status = 200): Promise<JobView> {
  const text = await response.text();
  assert.equal(response.status, status, text);
  return asJob(JSON.parse(text));
}

export async function problemOf(response: Response, status: number, code: string): Promise<Problem> {
  const text = await response.text();
  assert.equal(response.status, status, text);
  assert.match(String(response.headers.get('content-type')), /^application\/problem\+json/);
  const problem = JSON.parse(text) as Problem;
  assert.equal(problem.code, code, text);
  return problem;
}
