export { calibrate, type CalibrateOptions } from './calibrate.ts';
export {
  calibratedCost,
  OPERATIONS,
  secondsOf,
  type Calibration,
  type Machine,
  type Measured,
  type Operation,
} from './calibration.ts';
export { localCluster, QUEUE, remoteCluster, type Cluster, type Link } from './cluster.ts';
export { efficiency, losses, predict, type Prediction } from './predict.ts';
export { criticalPath, simulate, type Simulation, type SimulationOptions, type Spent } from './simulate.ts';
export { StepCosts } from './step-costs.ts';
export { taskGraph, type Node } from './task-graph.ts';
