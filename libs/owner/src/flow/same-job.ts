import type { JobView } from '@blindfit/protocol';
import { OwnerError } from '../errors.ts';

/**
 * A record as the server shows it, once it is that of the manifest that was submitted: a job of other data could end
 * with a model that opens with the same keys.
 * @throws OwnerError
 */
export function sameJob(view: JobView, manifest: string): JobView {
  if (view.manifest === manifest) return view;
  throw new OwnerError(`the server shows another manifest for ${view.id} than the one that was submitted`, {
    hint: 'do not trust this server',
  });
}
