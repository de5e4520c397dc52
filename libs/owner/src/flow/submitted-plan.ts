import type { BlindfitClient } from '@blindfit/client';
import { readTrainingManifest, type JobView } from '@blindfit/protocol';
import { type Plan, trainingPlanOf } from '@blindfit/training';
import { sameJob } from './same-job.ts';
import type { Ticket } from './ticket.ts';

/**
 * A job as the server shows it, and the plan of the manifest that its ticket names.
 * @throws OwnerError when the server shows another manifest: by its plan the decrypted numbers would mean something
 * else
 */
export async function submittedPlan(
  client: BlindfitClient,
  ticket: Ticket,
): Promise<{ readonly job: JobView; readonly plan: Plan }> {
  const job = sameJob(await client.job(ticket.job), ticket.manifest);
  const manifest = new TextDecoder().decode(await client.blob(ticket.manifest));
  return { job, plan: trainingPlanOf(readTrainingManifest(JSON.parse(manifest))).plan };
}
