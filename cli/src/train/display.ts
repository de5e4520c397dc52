/** How the states of a training or a prediction look on a terminal. */
import type { FlowOptions, FlowState, JobState } from '@blindfit/owner';
import { formatBytes } from '../format.ts';
import type { Progress, ProgressState } from '../progress.ts';

/** Shows a flow's states and messages. */
export function shownBy(progress: Progress): Pick<FlowOptions, 'onProgress' | 'onLog'> {
  return {
    onProgress: (state) => progress.update({ ...stateOf(state), text: textOf(state) }),
    onLog: (line) => progress.log(line),
  };
}

function stateOf(state: FlowState): Omit<ProgressState, 'text'> {
  const { phase, done, total } = state;
  const etaSeconds = 'etaSeconds' in state ? state.etaSeconds : undefined;
  return { phase, done, total, etaSeconds };
}

function textOf(state: FlowState): string {
  switch (state.phase) {
    case 'choosing settings':
    case 'making keys':
    case 'decrypting':
      return '';
    case 'encrypting':
      return formatBytes(state.bytes);
    case 'uploading keys':
      return formatBytes(state.done) + (state.skipped > 0 ? `, ${formatBytes(state.skipped)} were there already` : '');
    default:
      return jobText(state);
  }
}

function jobText({ job, evaluation }: JobState): string {
  const { tasksDone, tasksTotal, iteration, iterations, classes, levelsLeft } = job.progress;
  const tasks = `task ${tasksDone}/${tasksTotal}`;
  if (job.kind === 'predict') return tasks;
  const parts = [tasks, `iteration ${Math.min(iteration + 1, iterations)}/${iterations}`, `${levelsLeft} levels left`];
  if (classes !== undefined) parts.push(`class ${classes}`);
  if (job.refreshes.length > 0) parts.push('refreshing');
  if (evaluation !== undefined)
    parts.push(
      `held out ${(100 * evaluation.accuracy).toFixed(2)} %`,
      `loss ${evaluation.loss.toFixed(3)} after ${evaluation.iteration}`,
    );
  return parts.join(', ');
}
