export { Progress } from './progress.ts';
export { prepareData, type TrainingData } from './train/data.ts';
export { runTraining, type TrainingReport, type TrainingRequest } from './train/run.ts';
