{{/* What is defined under "Text." gives one text, bare; who puts it into YAML quotes it. All else gives YAML. */}}

{{/* Text. */}}
{{- define "svcauth.name" -}}
{{- default .Chart.Name .Values.nameOverride -}}
{{- end -}}

{{/* Text. */}}
{{/* A Service's name begins with a letter and has no dots; a release's may be 123 or a.b. */}}
{{- define "svcauth.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else -}}
{{- $release := .Release.Name | replace "." "-" -}}
{{- $name := ternary $release (printf "%s-%s" $release .Chart.Name) (contains .Chart.Name $release) -}}
{{- if not (regexMatch "^[a-z]" $name) -}}
{{- $name = printf "%s-%s" .Chart.Name $release -}}
{{- end -}}
{{- regexReplaceAll "-+$" (trunc 50 $name) "" -}}
{{- end -}}
{{- end -}}

{{/* Text. */}}
{{- define "svcauth.migration" -}}
{{- include "svcauth.fullname" . }}-migrate
{{- end -}}

{{/* Text. */}}
{{- define "svcauth.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "svcauth.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Text. */}}
{{- define "svcauth.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Text. */}}
{{/* A label's value: a version may have a + in it. */}}
{{- define "svcauth.label" -}}
{{- . | replace "+" "_" | trunc 63 | trimAll "-_." -}}
{{- end -}}

{{/* The labels that never change; a component is added where servers and the migration must be told apart. */}}
{{- define "svcauth.selector" -}}
app.kubernetes.io/name: {{ include "svcauth.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "svcauth.labels" -}}
{{ include "svcauth.selector" . | indent 0 }}
app.kubernetes.io/version: {{ include "svcauth.label" .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ include "svcauth.label" (printf "%s-%s" .Chart.Name .Chart.Version) | quote }}
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
{{- $redis := or .Values.secrets.redisURLKey (dig "redis" "url" "" .Values.config) -}}
{{- range .Values.extraEnv -}}
{{- if eq .name "SVCAUTH_REDIS_URL" -}}{{- $redis = true -}}{{- end -}}
{{- end -}}
{{- if and $several (not $redis) -}}
{{- fail "several nodes need Redis: set secrets.redisURLKey or config.redis.url, or replicaCount to 1" -}}
{{- end -}}
{{- /* JSON, which is YAML with all text quoted: toYaml leaves bare what the server's reader takes for something else. */}}
svcauth.yaml: |
  {{- mustToPrettyJson (merge $own .Values.config) | nindent 2 }}
{{- if .Values.catalog }}
catalog.yaml: |
  {{- mustToPrettyJson .Values.catalog | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The container's variables: extraEnv, and before it what the chart sets of what is not there. */}}
{{- define "svcauth.env" -}}
{{- $secrets := .Values.secrets -}}
{{- $own := list (dict "name" "SVCAUTH_CONFIG" "value" "/etc/svcauth/svcauth.yaml") -}}
{{- with .Values.goMemoryLimit -}}
{{- $own = append $own (dict "name" "GOMEMLIMIT" "value" .) -}}
{{- end -}}
{{- with $secrets.redisURLKey -}}
{{- $own = append $own (dict "name" "SVCAUTH_REDIS_URL" "valueFrom" (dict "secretKeyRef" (dict "name" $secrets.name "key" .))) -}}
{{- end -}}
{{- with $secrets.smtpURLKey -}}
{{- $own = append $own (dict "name" "SVCAUTH_SMTP_URL" "valueFrom" (dict "secretKeyRef" (dict "name" $secrets.name "key" .))) -}}
{{- end -}}
{{- $given := list -}}
{{- range .Values.extraEnv -}}
{{- $given = append $given .name -}}
{{- end -}}
{{- $env := list -}}
{{- range $own -}}
{{- if not (has .name $given) -}}
{{- $env = append $env . -}}
{{- end -}}
{{- end -}}
{{- concat $env (default list .Values.extraEnv) | toYaml | indent 0 }}
{{- end -}}

{{/* What the server's container and the migration's have in common. */}}
{{- define "svcauth.container" -}}
image: {{ include "svcauth.image" . | quote }}
{{- with .Values.image.pullPolicy }}
imagePullPolicy: {{ . | quote }}
{{- end }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
env: {{- include "svcauth.env" . | nindent 2 }}
volumeMounts:
  - {name: config, mountPath: /etc/svcauth, readOnly: true}
  - {name: secrets, mountPath: /run/secrets/svcauth, readOnly: true}
  {{- if .Values.tls.secretName }}
  - {name: tls, mountPath: /run/secrets/tls, readOnly: true}
  {{- end }}
  - {name: tmp, mountPath: /tmp}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* What the server's pod and the migration's have in common. Takes a list: the context, and the name of the ConfigMap. */}}
{{- define "svcauth.pod" -}}
{{- $root := index . 0 -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with $root.Values.podSecurityContext }}
securityContext: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.hostAliases }}
hostAliases: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
volumes:
  - name: config
    configMap: {name: {{ index . 1 | quote }}}
  - name: secrets
    secret: {secretName: {{ $root.Values.secrets.name | quote }}, defaultMode: 0440}
  {{- with $root.Values.tls.secretName }}
  - name: tls
    secret: {secretName: {{ . | quote }}, defaultMode: 0440}
  {{- end }}
  - name: tmp
    emptyDir: {sizeLimit: 64Mi}
  {{- with $root.Values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
