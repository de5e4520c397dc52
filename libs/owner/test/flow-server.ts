/** A server that does as little as possible, for tests of the owner's flow. */
import { digestOf, required } from '@blindfit/base';
import type { BlindfitClient } from '@blindfit/client';
import { canonicalJson, type JobView, type Manifest } from '@blindfit/protocol';

export const ID = 'job-0123456789ab';

export interface Server {
  readonly client: BlindfitClient;
  readonly submitted: { manifest: Manifest; options: unknown }[];
  readonly cancelled: (string | undefined)[];
  readonly blobs: Map<string, Uint8Array>;
}

interface Behaviour {
  /** The digest it records. @default that of the manifest */
  readonly record?: string;
  /** What happens after the first event. */
  readonly next: (view: JobView, server: Server) => Promise<JobView>;
  readonly first?: Partial<JobView>;
}

export function serverOf({ record, next, first }: Behaviour): Server {
  const submitted: Server['submitted'] = [];
  const cancelled: Server['cancelled'] = [];
  const blobs = new Map<string, Uint8Array>();
  const view = (): JobView => {
    const { manifest } = required(submitted.at(-1), 'a submission');
    const digest = record ?? digestOf(new TextEncoder().encode(canonicalJson(manifest)));
    const progress = { phase: 'queued', tasksDone: 2, tasksTotal: 7 };
    return { id: ID, manifest: digest, state: 'running', refreshes: [], answers: [], progress, ...first } as never;
  };
  const put = (digest: string, bytes: Uint8Array): void => void blobs.set(digest, bytes);
  const client = {
    cluster: () => Promise.resolve({ workers: 0, threads: 0 }),
    putBlob: (digest: string, bytes: Uint8Array) => Promise.resolve(put(digest, bytes)),
    putBlobs: async (keys: readonly { digest: string; bytes: () => Promise<Uint8Array> }[]) => {
      for (const { digest, bytes } of keys) put(digest, await bytes());
    },
    submit: (manifest: Manifest, options: unknown) => {
      submitted.push({ manifest, options });
      return Promise.resolve(view());
    },
    async *events() {
      yield view();
      yield await next(view(), server);
    },
    cancel: (_id: string, signature?: string) => {
      cancelled.push(signature);
      return Promise.resolve({ ...view(), state: 'cancelled' });
    },
    blob: (digest: string) => Promise.resolve(required(blobs.get(digest), digest)),
  } as unknown as BlindfitClient;
  const server = { client, submitted, cancelled, blobs };
  return server;
}

export const REASON = new Error('the owner has gone');
/** Ends the owner's patience while the job runs. */
export const leave = (abort: AbortController) => (): Promise<JobView> => {
  abort.abort(REASON);
  return Promise.reject(REASON);
};
