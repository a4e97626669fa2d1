{{- define "svcauth.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "svcauth.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The labels that never change; a component is added where servers and the migration must be told apart. */}}
{{- define "svcauth.selector" -}}
app.kubernetes.io/name: {{ include "svcauth.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "svcauth.labels" -}}
{{ include "svcauth.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "svcauth.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "svcauth.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "svcauth.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The files of the ConfigMap: the configuration with what the chart decides, and the catalogue. */}}
{{- define "svcauth.files" -}}
{{- $files := "/run/secrets/svcauth/" -}}
{{- $own := dict "listen" ":8080" "ops" (dict "listen" ":9090") "master_key_file" (print $files .Values.secrets.masterKey) -}}
{{- if .Values.secrets.masterKeyPrevious -}}
{{- $_ := set $own "master_key_previous_file" (print $files .Values.secrets.masterKeyPrevious) -}}
{{- end -}}
{{- if .Values.tls.secretName -}}
{{- $_ := set $own "tls" (dict "cert_file" "/run/secrets/tls/tls.crt" "key_file" "/run/secrets/tls/tls.key") -}}
{{- end -}}
{{- if .Values.catalog -}}
{{- $_ := set $own "catalog_file" "/etc/svcauth/catalog.yaml" -}}
{{- end -}}
{{- $several := or (gt (int .Values.replicaCount) 1) .Values.autoscaling.enabled -}}
{{- if and $several (not .Values.secrets.redisURLKey) (not (dig "redis" "url" "" .Values.config)) -}}
{{- fail "several nodes need Redis: set secrets.redisURLKey or config.redis.url, or replicaCount to 1" -}}
{{- end -}}
svcauth.yaml: |
  {{- toYaml (merge $own .Values.config) | nindent 2 }}
{{- if .Values.catalog }}
catalog.yaml: |
  {{- toYaml .Values.catalog | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "svcauth.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* What the server's container and the migration's have in common. */}}
{{- define "svcauth.container" -}}
image: {{ include "svcauth.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
env:
  - {name: SVCAUTH_CONFIG, value: /etc/svcauth/svcauth.yaml}
  {{- if .Values.secrets.redisURLKey }}
  - name: SVCAUTH_REDIS_URL
    valueFrom: {secretKeyRef: {name: {{ .Values.secrets.name }}, key: {{ .Values.secrets.redisURLKey }}}}
  {{- end }}
  {{- if .Values.secrets.smtpURLKey }}
  - name: SVCAUTH_SMTP_URL
    valueFrom: {secretKeyRef: {name: {{ .Values.secrets.name }}, key: {{ .Values.secrets.smtpURLKey }}}}
  {{- end }}
  {{- with .Values.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
volumeMounts:
  - {name: config, mountPath: /etc/svcauth, readOnly: true}
  - {name: secrets, mountPath: /run/secrets/svcauth, readOnly: true}
  {{- if .Values.tls.secretName }}
  - {name: tls, mountPath: /run/secrets/tls, readOnly: true}
  {{- end }}
  - {name: tmp, mountPath: /tmp}
{{- end -}}

{{/* Takes a list: the context, and the name of the ConfigMap. */}}
{{- define "svcauth.volumes" -}}
{{- $root := index . 0 -}}
- name: config
  configMap: {name: {{ index . 1 }}}
- name: secrets
  secret: {secretName: {{ $root.Values.secrets.name }}, defaultMode: 0440}
{{- if $root.Values.tls.secretName }}
- name: tls
  secret: {secretName: {{ $root.Values.tls.secretName }}, defaultMode: 0440}
{{- end }}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- end -}}

{{- define "svcauth.placement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}
