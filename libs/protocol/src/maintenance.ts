/** A cluster that accepts no new jobs, as an operator has asked. */
import { Type, type Static } from 'typebox';

const reason = Type.Optional(Type.String({ maxLength: 200, description: 'for those whose jobs are refused' }));

export const NewMaintenanceSchema = Type.Object(
  {
    on: Type.Boolean({ description: 'whether new jobs are refused' }),
    drain: Type.Optional(Type.Boolean({ description: 'jobs that were accepted go on; otherwise they wait' })),
    reason,
  },
  { additionalProperties: false },
);
export type NewMaintenance = Static<typeof NewMaintenanceSchema>;

export const MaintenanceSchema = Type.Object({
  on: Type.Boolean(),
  drain: Type.Optional(Type.Boolean()),
  reason,
  since: Type.Optional(Type.String({ description: 'ISO 8601' })),
});
export type Maintenance = Static<typeof MaintenanceSchema>;
