/**
 * Switches off onnxruntime's telemetry: since 1.29 it is on by default, and reports names and hashes of models, devices
 * and timings to its maker. It is decided when the process makes its first session, by the environment of the process,
 * which only the main thread can change. Imported for that effect, before anything that imports onnxruntime-node.
 */
import { isMainThread } from 'node:worker_threads';

if (!isMainThread)
  throw new Error(
    'features can be computed from the main thread only: elsewhere the telemetry of onnxruntime cannot be switched off',
  );
process.env['ORT_DISABLE_TELEMETRY'] = '1';
