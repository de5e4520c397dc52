import type { Command } from 'commander';
import { runService } from '@blindfit/service';
import type { ServiceDefinition } from '@blindfit/service/settings';
import { addConfigFlags, configOf, givenFlags } from './config.ts';

/** What the help of a service says beside its settings. */
interface ServiceHelp {
  readonly summary: string;
  readonly description: string;
  /** What comes after the flags. */
  readonly notes: string;
  /** Command lines, each without the indentation. */
  readonly examples: readonly string[];
}

const TRACING = `
Traces of jobs go to an OpenTelemetry collector when OTEL_EXPORTER_OTLP_ENDPOINT names one. Also read:
OTEL_EXPORTER_OTLP_HEADERS, OTEL_EXPORTER_OTLP_PROTOCOL, OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER,
OTEL_TRACES_SAMPLER_ARG, OTEL_SDK_DISABLED.`;

/** Registers the command that runs a service in the foreground. Flags override the variables of its settings. */
export function serviceCommand(
  program: Command,
  definition: ServiceDefinition,
  { summary, description, notes, examples }: ServiceHelp,
): void {
  const command = program
    .command(definition.name)
    .summary(summary)
    .description(description)
    .option('--ready-json', 'print one line of JSON to stdout when ready');
  addConfigFlags(command, definition.table)
    .addHelpText('after', `\n${notes}\n${TRACING}\n\nExamples:\n${examples.map((line) => `  ${line}`).join('\n')}`)
    .action(async ({ readyJson = false }: { readyJson?: boolean }) => {
      await runService(definition, configOf(definition.table, givenFlags(command)), { readyJson });
    });
}
