export { startRedis, type RunningRedis } from './stack/redis.ts';
export { StackError, startStack, type RunningStack, type StackOptions, type StackProcess } from './stack/stack.ts';
export { Progress } from './progress.ts';
export { prepareData, type TrainingData } from './train/data.ts';
export { runTraining, type TrainingReport, type TrainingRequest } from './train/run.ts';
