import { AnnotationQueryBuilder } from '@grafana/grafana-foundation-sdk/dashboard';
import { DATASOURCE } from './variables.ts';

/** Alerts of ours that fire, as marks in every graph; without the one that always does. */
export const FIRING = 'ALERTS{alertname=~"Blindfit.+", alertname!="BlindfitWatchdog", alertstate="firing"}';

export function alertAnnotation(): AnnotationQueryBuilder {
  return new AnnotationQueryBuilder()
    .name('Alerts')
    .datasource(DATASOURCE)
    .enable(true)
    .iconColor('red')
    .expr(FIRING)
    .titleFormat('{{alertname}}')
    .textFormat('{{severity}} {{instance}}')
    .step('60s');
}
