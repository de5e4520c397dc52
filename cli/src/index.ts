export { Progress } from './progress.ts';
