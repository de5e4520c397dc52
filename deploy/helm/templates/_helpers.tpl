{{- define "blindfit.labels" -}}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/name: blindfit
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "blindfit.metadata" -}}
name: {{ .name | default .component }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "blindfit.labels" . | nindent 2 }}
{{- end }}

{{- define "blindfit.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end }}

{{- define "blindfit.selector" -}}
matchLabels:
  app.kubernetes.io/component: {{ . }}
{{- end }}

{{- define "blindfit.spread" -}}
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: {{ .hosts | default "ScheduleAnyway" }}
  labelSelector:
    {{- include "blindfit.selector" .component | nindent 4 }}
- maxSkew: 1
  topologyKey: topology.kubernetes.io/zone
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    {{- include "blindfit.selector" .component | nindent 4 }}
{{- end }}

{{- define "blindfit.pod" -}}
serviceAccountName: {{ .component }}
priorityClassName: {{ if eq .component "worker" }}blindfit-worker{{ else }}blindfit-service{{ end }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .user }}
  runAsGroup: {{ .user }}
  fsGroup: {{ .user }}
  {{- if .onRootMismatch }}
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "blindfit.contained" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "blindfit.fromSecret" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret }}
      key: {{ .key }}
      {{- if .optional }}
      optional: true
      {{- end }}
{{- end }}

{{- define "blindfit.sentinels" -}}
{{- $suffix := .suffix -}}
{{- range $i := until 3 }}{{ if $i }},{{ end }}redis-{{ $i }}.redis{{ $suffix }}:26379{{ end -}}
{{- end }}

{{- define "blindfit.redisEnv" -}}
{{- $secret := .Values.secretName }}
{{- if eq .Values.redis.mode "external" }}
{{ include "blindfit.fromSecret" (dict "name" "REDIS_ADDRESS" "secret" $secret "key" "redis-address") }}
{{ include "blindfit.fromSecret" (dict "name" "BLINDFIT_REDIS_URL" "secret" $secret "key" "redis-url") }}
{{- else }}
{{ include "blindfit.fromSecret" (dict "name" "REDIS_PASSWORD" "secret" $secret "key" "redis-password") }}
- name: BLINDFIT_REDIS_URL
  {{- if eq .Values.redis.mode "sentinel" }}
  value: redis-sentinel://:$(REDIS_PASSWORD)@{{ include "blindfit.sentinels" (dict "suffix" "") }}/blindfit?sentinel-password=$(REDIS_PASSWORD)
  {{- else }}
  value: redis://:$(REDIS_PASSWORD)@redis:6379
  {{- end }}
{{- end }}
{{- end }}

{{- define "blindfit.storeEnv" -}}
{{- $s3 := .root.Values.store.s3 }}
- name: BLINDFIT_STORE
{{- if eq .root.Values.store.type "s3" }}
  value: {{ $s3.url }}
- name: AWS_REGION
  value: {{ $s3.region }}
{{- with $s3.endpoint }}
- name: BLINDFIT_S3_ENDPOINT
  value: {{ . }}
{{- end }}
{{- if $s3.roleArn }}
- name: AWS_ROLE_ARN
  value: {{ $s3.roleArn }}
- name: AWS_WEB_IDENTITY_TOKEN_FILE
  value: /var/run/blindfit/aws/token
{{- else }}
{{ include "blindfit.fromSecret" (dict "name" "AWS_ACCESS_KEY_ID" "secret" $s3.secretName "key" "access-key-id") }}
{{ include "blindfit.fromSecret" (dict "name" "AWS_SECRET_ACCESS_KEY" "secret" $s3.secretName "key" "secret-access-key") }}
{{- end }}
{{- else if eq .component "api" }}
  value: file:///var/lib/blindfit/blobs
{{- else }}
  value: {{ if .root.Values.tls.enabled }}https{{ else }}http{{ end }}://api:8080
{{ include "blindfit.fromSecret" (dict "name" "BLINDFIT_TOKEN" "secret" .root.Values.secretName "key" "work-token") }}
{{- if .root.Values.tls.enabled }}
- name: NODE_EXTRA_CA_CERTS
  value: /etc/blindfit/ca/ca.crt
{{- end }}
{{- end }}
{{- with .root.Values.tracing }}
{{- if .enabled }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ .endpoint }}
{{- end }}
{{- end }}
{{- range $name, $value := (index .root.Values .component).env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "blindfit.identityMount" -}}
{{- if and (eq .Values.store.type "s3") .Values.store.s3.roleArn }}
- name: aws-token
  mountPath: /var/run/blindfit/aws
  readOnly: true
{{- end }}
{{- end }}

{{- define "blindfit.identityVolume" -}}
{{- if and (eq .Values.store.type "s3") .Values.store.s3.roleArn }}
- name: aws-token
  projected:
    defaultMode: 288 # 0440
    sources:
      - serviceAccountToken:
          audience: sts.amazonaws.com
          expirationSeconds: 3600
          path: token
{{- end }}
{{- end }}

{{- define "blindfit.probes" -}}
{{- range $probe, $more := dict "startupProbe" "periodSeconds: 3\nfailureThreshold: 40" "livenessProbe" "periodSeconds: 15\ntimeoutSeconds: 5\nfailureThreshold: 4" "readinessProbe" (printf "periodSeconds: %d\ntimeoutSeconds: 4" (ternary 5 10 (eq $.port "http"))) }}
{{ $probe }}:
  httpGet:
    path: {{ if eq $probe "readinessProbe" }}/readyz{{ else }}/healthz{{ end }}
    port: {{ $.port }}
    {{- if $.tls }}
    scheme: HTTPS
    {{- end }}
  {{- $more | nindent 2 }}
{{- end }}
{{- end }}

{{- define "blindfit.account" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "blindfit.metadata" . | nindent 2 }}
  {{- if ne .component "redis" }}
  {{- with (index .root.Values .component).annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
automountServiceAccountToken: false
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "blindfit.metadata" . | nindent 2 }}
spec:
  maxUnavailable: {{ if eq .component "worker" }}25%{{ else }}1{{ end }}
  selector:
    {{- include "blindfit.selector" .component | nindent 4 }}
{{- end }}
