export { startRedis, type RunningRedis } from '@blindfit/stack';
export { StackError, startStack, type RunningStack, type StackOptions, type StackProcess } from '@blindfit/stack';
export { Progress } from './progress.ts';
export { prepareData, type TrainingData } from './train/data.ts';
export { runTraining, type TrainingReport, type TrainingRequest } from './train/run.ts';
