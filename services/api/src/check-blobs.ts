import { messageWithHint, parseDigest } from '@blindfit/base';
import { BlobNotFoundError, type BlobStore } from '@blindfit/blobs';
import { checkHeader, parseHeader, WIRE_HEADER_BYTES, WireError, type Parameters } from '@blindfit/he';
import type { Problem } from '@blindfit/protocol';
import type { BlobOwners } from '@blindfit/queue';
import { expectedBlobs, type ExpectedBlob, type PlannedJob } from '@blindfit/training';
import { ApiError } from './problems.ts';

/** Files looked into at a time. */
const CONCURRENCY = 16;
/** Enough to see what is wrong; whoever sent a thousand wrong blobs made one mistake. */
const MAX_PROBLEMS = 20;
const SHOWN_IN_DETAIL = 5;
/** The reason of a blob that is not there. */
const MISSING = 'missing';

type BlobProblem = NonNullable<Problem['blobs']>[number];

/**
 * Checks that the store holds every blob of a manifest, each with the kind, parameters, level, scale and size that its
 * place asks for. Reads headers only; what is behind them is SEAL's to refuse, in a worker.
 *
 * @throws {ApiError} 422 `BLOBS_MISSING` or `BLOBS_INVALID` with the first problems
 */
export async function checkBlobs(
  store: BlobStore,
  planned: PlannedJob,
  owners: BlobOwners,
  tenant: string,
): Promise<void> {
  const expected = expectedBlobs(planned);
  await checkPlaces(store, planned.plan.parameters, expected, await foreignOf(expected, owners, tenant));
}

/** The digests of blobs that are not the tenant's. */
export async function foreignOf(
  blobs: readonly ExpectedBlob[],
  owners: BlobOwners,
  tenant: string,
): Promise<ReadonlySet<string>> {
  return owners.missing(tenant, [...new Set(blobs.map(({ digest }) => digest))]);
}

/**
 * As {@link checkBlobs}, for any places; problems come in the order of the places, however quick the store was with
 * each.
 */
export async function checkPlaces(
  store: BlobStore,
  parameters: Parameters,
  blobs: readonly ExpectedBlob[],
  foreign: ReadonlySet<string>,
): Promise<void> {
  // One blob may stand at many places, for example a block of zeros.
  const places = Map.groupBy(blobs, (blob) => blob.digest);
  const queue = [...places].entries();
  const found: BlobProblem[][] = [];
  let count = 0;
  const checkNext = async (): Promise<void> => {
    for (const [index, [digest, expected]] of queue) {
      const problems = foreign.has(digest)
        ? missingAt(digest, expected)
        : await checkBlob(store, parameters, digest, expected);
      found[index] = problems;
      count += problems.length;
      if (count >= MAX_PROBLEMS) return;
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, checkNext));
  // Blobs are taken in order and those taken are looked into, so nothing skipped comes before the first of these.
  const problems = found.flat().slice(0, MAX_PROBLEMS);
  const [missing, invalid] = [
    problems.filter(({ reason }) => reason === MISSING),
    problems.filter(({ reason }) => reason !== MISSING),
  ];
  if (missing.length > 0) {
    throw refusal(
      'BLOBS_MISSING',
      'Blobs are missing',
      'is not in the store',
      [...missing, ...invalid],
      'upload them with PUT /v1/blobs/DIGEST, then submit again',
    );
  }
  if (invalid.length > 0) {
    throw refusal(
      'BLOBS_INVALID',
      'Blobs do not fit their places',
      'does not fit',
      invalid,
      'encrypt them anew for the plan of this manifest, or correct the manifest',
    );
  }
}

/** What is wrong with one blob at each of its places, the first of them. */
async function checkBlob(
  store: BlobStore,
  parameters: Parameters,
  text: string,
  expected: readonly ExpectedBlob[],
): Promise<BlobProblem[]> {
  const digest = parseDigest(text);
  const found = await headOf(store, digest);
  if (found === undefined) return missingAt(digest, expected);
  const problems: BlobProblem[] = [];
  for (const { place, fields } of expected) {
    try {
      checkHeader(parseHeader(found.head), found.size, { parameters, fields });
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      if (problems.push({ place, digest, reason: messageWithHint(error) }) >= MAX_PROBLEMS) break;
    }
  }
  return problems;
}

/** What another tenant has counts as missing, too: nobody learns from it what others have. */
function missingAt(digest: string, expected: readonly ExpectedBlob[]): BlobProblem[] {
  return expected.slice(0, MAX_PROBLEMS).map(({ place }) => ({ place, digest, reason: MISSING }));
}

async function headOf(
  store: BlobStore,
  digest: ReturnType<typeof parseDigest>,
): Promise<{ size: number; head: Uint8Array } | undefined> {
  // Until the job is recorded nothing else says that somebody needs it.
  const info = (await store.touch(digest)) ? await store.has(digest) : undefined;
  if (info === undefined) return undefined;
  try {
    return { size: info.size, head: await store.readHead(digest, WIRE_HEADER_BYTES) };
  } catch (error) {
    // It may have gone since.
    if (error instanceof BlobNotFoundError) return undefined;
    throw error;
  }
}

function refusal(code: string, title: string, what: string, problems: BlobProblem[], hint: string): ApiError {
  const lines = problems
    .slice(0, SHOWN_IN_DETAIL)
    .map(
      ({ place, digest, reason }) => `${place} (${digest}) ${reason === MISSING ? 'is missing' : `${what}: ${reason}`}`,
    );
  const more = problems.length > lines.length ? `; and more, see "blobs"` : '';
  return new ApiError(422, code, title, `${lines.join('; ')}${more}`, hint, problems);
}
