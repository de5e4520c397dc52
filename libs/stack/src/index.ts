export { StackError } from './child-service.ts';
export { startStack, type RunningStack, type StackOptions, type StackProcess } from './stack.ts';
