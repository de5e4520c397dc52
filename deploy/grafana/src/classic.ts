/**
 * Grafana's classic dashboards. The SDK would have us write the second version of the schema; this one every Grafana
 * since version 10 reads from files, the other only the newest.
 */
/* eslint-disable @typescript-eslint/no-deprecated */
import { DashboardBuilder, type Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';

export type ClassicDashboard = Dashboard;
export const ClassicBuilder = DashboardBuilder;
