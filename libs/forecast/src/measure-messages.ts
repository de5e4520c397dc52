/** What goes between `calibrate.ts` and its threads. */
import type { Calibration } from './calibration.ts';

export type MeasureRequest =
  { readonly kind: 'prepare' } | { readonly kind: 'operations' } | { readonly kind: 'burst'; readonly seconds: number };

export type Costs = Pick<Calibration, 'operations' | 'context' | 'keyLoad' | 'keyMake' | 'keyBytes' | 'packBlock'>;

export type MeasureReply =
  | { readonly kind: 'progress'; readonly done: number; readonly total: number }
  | { readonly kind: 'costs'; readonly costs: Costs }
  | { readonly kind: 'done'; readonly rate: number }
  | { readonly kind: 'failed'; readonly message: string };
