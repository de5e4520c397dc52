import { digestOf } from '@blindfit/base';
import type { BlindfitClient } from '@blindfit/client';
import { canonicalJson, type JobView, type Manifest, type Priority } from '@blindfit/protocol';
import { sameJob } from './same-job.ts';

/** Submits a job. @throws OwnerError when the server records another manifest; what the API throws */
export async function submit(client: BlindfitClient, manifest: Manifest, priority?: Priority): Promise<JobView> {
  const digest = digestOf(new TextEncoder().encode(canonicalJson(manifest)));
  return sameJob(await client.submit(manifest, { priority }), digest);
}
