import type { Split } from '@blindfit/demo';

/**
 * The fonts each split is drawn with, by their name on Fontsource (`@fontsource/<name>`). No font is in both lists, so
 * the held-out accuracy measures unseen "handwriting" and not only unseen jitter.
 */
export const FONTS: Readonly<Record<Split, readonly string[]>> = {
  train: [
    'architects-daughter',
    'cedarville-cursive',
    'covered-by-your-grace',
    'delius',
    'gloria-hallelujah',
    'indie-flower',
    'just-another-hand',
    'kalam',
    'neucha',
    'nothing-you-could-do',
    'pangolin',
    'reenie-beanie',
    'shadows-into-light',
    'short-stack',
    'sue-ellen-francisco',
    'the-girl-next-door',
  ],
  heldout: ['caveat', 'coming-soon', 'handlee', 'patrick-hand', 'schoolbell'],
};
