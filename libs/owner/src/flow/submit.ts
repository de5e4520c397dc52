import { digestOf } from '@blindfit/base';
import type { BlindfitClient } from '@blindfit/client';
import { canonicalJson, type JobView, type Manifest, type Priority } from '@blindfit/protocol';
import { OwnerError } from '../errors.ts';

/** Submits a job. @throws OwnerError when the server records another manifest; what the API throws */
export async function submit(client: BlindfitClient, manifest: Manifest, priority?: Priority): Promise<JobView> {
  const job = await client.submit(manifest, { priority });
  const digest = digestOf(new TextEncoder().encode(canonicalJson(manifest)));
  if (job.manifest !== digest)
    throw new OwnerError(`the server shows another manifest for ${job.id} than the one that was submitted`, {
      hint: 'do not trust this server',
    });
  return job;
}
