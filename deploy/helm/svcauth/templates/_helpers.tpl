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

{{/* Any value, as JSON that YAML reads as the same: text quoted, and what YAML does not take as it is, or takes for the end of a line,
     written as \u…. toYaml leaves bare what the server's reader takes for something else, and gives nothing at all for a map with a control character. */}}
{{- define "svcauth.json" -}}
{{- $json := mustToPrettyJson . -}}
{{- range concat (untilStep 127 160 1) (list 0xfeff 0xfffe 0xffff) -}}
{{- $json = replace (printf "%c" .) (printf "\\u%04x" .) $json -}}
{{- end -}}
{{- $json | indent 0 -}}
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
{{- if not .Values.config.issuer -}}
{{- fail "config.issuer is missing: give the https URL by which clients reach svcauth, the same for ever, such as --set config.issuer=https://auth.example.com" -}}
{{- end -}}
{{- if not .Values.config.database.url -}}
{{- fail "config.database.url is missing: give the URL of PostgreSQL, such as --set config.database.url='postgres://svcauth@db.svc:5432/svcauth?sslmode=verify-full&passfile=/run/secrets/svcauth/pgpass'" -}}
{{- end -}}
{{- $files := "/run/secrets/svcauth/" -}}
{{- $own := dict "listen" ":8080" "ops" (dict "listen" ":9090") "master_key_file" (print $files .Values.secrets.masterKey) -}}
{{- if .Values.secrets.masterKeyPrevious -}}
{{- $_ := set $own "master_key_previous_file" (print $files .Values.secrets.masterKeyPrevious) -}}
{{- end -}}
{{- with include "svcauth.tls" . | fromJson -}}
{{- $_ := set $own "tls" . -}}
{{- end -}}
{{- if .Values.catalog -}}
{{- $_ := set $own "catalog_file" "/etc/svcauth/catalog.yaml" -}}
{{- end -}}
{{- $own = mustMerge $own (include "svcauth.certificateFiles" . | fromJson) -}}
{{- $several := or (gt (int .Values.replicaCount) 1) .Values.autoscaling.enabled -}}
{{- $redis := or .Values.secrets.redisURLKey (dig "redis" "url" "" .Values.config) -}}
{{- range .Values.extraEnv -}}
{{- if eq .name "SVCAUTH_REDIS_URL" -}}{{- $redis = true -}}{{- end -}}
{{- end -}}
{{- if and $several (not $redis) -}}
{{- fail "several nodes need Redis: set secrets.redisURLKey or config.redis.url, or replicaCount to 1" -}}
{{- end -}}
svcauth.yaml: |
  {{- include "svcauth.json" (merge $own .Values.config) | nindent 2 }}
{{- if .Values.catalog }}
catalog.yaml: |
  {{- include "svcauth.json" .Values.catalog | nindent 2 }}
{{- end }}
{{- end -}}

{{/* JSON. */}}
{{/* The section tls of the configuration, without the authorities of clients, which are one of svcauth.certificates. */}}
{{- define "svcauth.tls" -}}
{{- $tls := dict -}}
{{- if .Values.tls.secretName -}}
{{- $tls = dict "cert_file" "/run/secrets/tls/tls.crt" "key_file" "/run/secrets/tls/tls.key" -}}
{{- end -}}
{{- $clients := default dict .Values.tls.clientCertificates -}}
{{- if and $clients.listen (not .Values.tls.secretName) -}}
{{- fail "tls.clientCertificates.listen needs a certificate of the pods' own: set tls.secretName, or let a proxy ask for certificates (tls.clientCertificates.header)" -}}
{{- end -}}
{{- if and $clients.listen (not $clients.url) -}}
{{- fail "tls.clientCertificates.url is missing: give the https URL by which clients reach the port that asks for certificates, such as https://mtls.auth.example.com" -}}
{{- end -}}
{{- if and $clients.url (eq $clients.url .Values.config.issuer) -}}
{{- fail "tls.clientCertificates.url is config.issuer: leave it empty if a proxy asks for certificates there, else give another host or port" -}}
{{- end -}}
{{- if and $clients.header (not .Values.config.trusted_proxies) -}}
{{- fail "tls.clientCertificates.header needs config.trusted_proxies: nobody else may send it" -}}
{{- end -}}
{{- if not (or $clients.listen $clients.header) -}}
{{- range list "url" "caSecretName" "caConfigMapName" "verifiedHeader" -}}
{{- if get $clients . -}}
{{- fail (printf "tls.clientCertificates.%s is set, but nobody asks for certificates: set tls.clientCertificates.listen or header, or take it away" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $clients.listen -}}
{{- $_ := set $tls "mtls_listen" ":8443" -}}
{{- end -}}
{{- with $clients.url -}}
{{- $_ := set $tls "mtls_url" . -}}
{{- end -}}
{{- with $clients.header -}}
{{- $_ := set $tls "client_cert_header" . -}}
{{- $_ := set $tls "client_cert_format" (default "rfc9440" $clients.format) -}}
{{- end -}}
{{- with $clients.verifiedHeader -}}
{{- $_ := set $tls "client_cert_verified_header" . -}}
{{- end -}}
{{- mustToJson $tls | indent 0 -}}
{{- end -}}

{{/* JSON. */}}
{{/* What is mounted of connections, and the authorities of clients: a list of the connection, the volume's name and source, and the keys of the configuration with the files' names. */}}
{{- define "svcauth.certificates" -}}
{{- $all := list -}}
{{- $clients := default dict .Values.tls.clientCertificates -}}
{{- $files := dict "client_ca_file" "ca.crt" -}}
{{- with $clients.caSecretName -}}
{{- $source := dict "secret" (dict "secretName" . "defaultMode" 0440 "items" (list (dict "key" "ca.crt" "path" "ca.crt"))) -}}
{{- $all = append $all (dict "of" "tls" "volume" "ca-clients" "source" $source "files" $files) -}}
{{- end -}}
{{- with $clients.caConfigMapName -}}
{{- $source := dict "configMap" (dict "name" . "items" (list (dict "key" "ca.crt" "path" "ca.crt"))) -}}
{{- $all = append $all (dict "of" "tls" "volume" "ca-clients" "source" $source "files" $files) -}}
{{- end -}}
{{- $connections := default dict .Values.connections -}}
{{- range $of := list "database" "oidc" "otlp" "redis" "smtp" -}}
{{- $connection := default dict (get $connections $of) -}}
{{- $files := dict "ca_file" "ca.crt" -}}
{{- with $connection.caSecretName -}}
{{- $source := dict "secret" (dict "secretName" . "defaultMode" 0440 "items" (list (dict "key" "ca.crt" "path" "ca.crt"))) -}}
{{- $all = append $all (dict "of" $of "volume" (printf "ca-%s" $of) "source" $source "files" $files) -}}
{{- end -}}
{{- with $connection.caConfigMapName -}}
{{- $source := dict "configMap" (dict "name" . "items" (list (dict "key" "ca.crt" "path" "ca.crt"))) -}}
{{- $all = append $all (dict "of" $of "volume" (printf "ca-%s" $of) "source" $source "files" $files) -}}
{{- end -}}
{{- with $connection.tlsSecretName -}}
{{- $source := dict "secret" (dict "secretName" . "defaultMode" 0440) -}}
{{- $files := dict "cert_file" "tls.crt" "key_file" "tls.key" -}}
{{- $all = append $all (dict "of" $of "volume" (printf "tls-%s" $of) "source" $source "files" $files) -}}
{{- end -}}
{{- end -}}
{{- mustToJson $all | indent 0 -}}
{{- end -}}

{{/* JSON. */}}
{{/* The part of the configuration that names the files of svcauth.certificates. PostgreSQL's stand in its URL. */}}
{{- define "svcauth.certificateFiles" -}}
{{- $files := dict -}}
{{- $url := .Values.config.database.url -}}
{{- $parameters := dict "ca_file" "sslrootcert" "cert_file" "sslcert" "key_file" "sslkey" -}}
{{- range $c := include "svcauth.certificates" . | fromJsonArray -}}
{{- range $key, $name := $c.files -}}
{{- $path := printf "/run/certificates/%s/%s" $c.volume $name -}}
{{- if eq $c.of "database" -}}
{{- $parameter := get $parameters $key -}}
{{- if regexMatch (printf "[?&]%s=" $parameter) $url -}}
{{- fail (printf "connections.database gives the file that %s= in config.database.url names too: take one of them away" $parameter) -}}
{{- end -}}
{{- $url = printf "%s%s%s=%s" $url (ternary "&" "?" (contains "?" $url)) $parameter $path -}}
{{- $_ := set $files "database" (dict "url" $url) -}}
{{- else -}}
{{- $given := default dict (get $.Values.config $c.of) -}}
{{- if get $given $key -}}
{{- fail (printf "connections.%s gives the file that config.%s.%s names too: take one of them away" $c.of $c.of $key) -}}
{{- end -}}
{{- $_ := set $files $c.of (set (default dict (get $files $c.of)) $key $path) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- mustToJson $files | indent 0 -}}
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
{{- include "svcauth.json" (concat $env (default list .Values.extraEnv)) | indent 0 }}
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
  {{- range include "svcauth.certificates" . | fromJsonArray }}
  - {name: {{ .volume | quote }}, mountPath: {{ printf "/run/certificates/%s" .volume | quote }}, readOnly: true}
  {{- end }}
  {{- range .Values.extraVolumeMounts }}
  - {{- include "svcauth.json" . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* What the server's pod and the migration's have in common. Takes a list: the context, and the name of the ConfigMap. */}}
{{- define "svcauth.pod" -}}
{{- $root := index . 0 -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with $root.Values.podSecurityContext }}
securityContext: {{- include "svcauth.json" . | nindent 2 }}
{{- end }}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets: {{- include "svcauth.json" . | nindent 2 }}
{{- end }}
{{- with $root.Values.hostAliases }}
hostAliases: {{- include "svcauth.json" . | nindent 2 }}
{{- end }}
{{- with $root.Values.nodeSelector }}
nodeSelector: {{- include "svcauth.json" . | nindent 2 }}
{{- end }}
{{- with $root.Values.tolerations }}
tolerations: {{- include "svcauth.json" . | nindent 2 }}
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
  {{- range include "svcauth.certificates" $root | fromJsonArray }}
  - {{- include "svcauth.json" (mustMerge (dict "name" .volume) .source) | nindent 4 }}
  {{- end }}
  {{- range $root.Values.extraVolumes }}
  - {{- include "svcauth.json" . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* The ports, a list as JSON, of everything that is switched on: those that URLs in the configuration name, else the usual ones. 443 is
     always among them: whoever manages an account may have it proven by another issuer's tokens, whose keys are fetched there. */}}
{{- define "svcauth.egressPorts" -}}
{{- $config := .Values.config -}}
{{- $parts := list
  (dict "env" "SVCAUTH_DATABASE_URL" "url" (dig "database" "url" "" $config) "usual" (list "5432" "6432") "on" true)
  (dict "env" "SVCAUTH_REDIS_URL" "url" (dig "redis" "url" "" $config) "usual" (list "6379" "26379") "on" .Values.secrets.redisURLKey)
  (dict "env" "SVCAUTH_SMTP_URL" "url" (dig "smtp" "url" "" $config) "usual" (list "465" "587") "on" .Values.secrets.smtpURLKey)
  (dict "env" "SVCAUTH_OIDC_ISSUER" "url" (dig "oidc" "issuer" "" $config) "usual" (list "443"))
  (dict "env" "SVCAUTH_OTLP_ENDPOINT" "url" (dig "otlp" "endpoint" "" $config) "usual" (list "443" "4318"))
-}}
{{- $ports := list "443" -}}
{{- range $part := $parts -}}
{{- $url := toString $part.url -}}
{{- $on := or $part.on $url -}}
{{- range $.Values.extraEnv -}}
{{- if eq .name $part.env -}}{{- $on = true -}}{{- $url = toString (default "" .value) -}}{{- end -}}
{{- end -}}
{{- if $on -}}
{{- $named := list -}}
{{- range regexFindAll ":[0-9]{1,5}([,/?#]|$)" $url -1 -}}
{{- $named = append $named (regexFind "[0-9]+" .) -}}
{{- end -}}
{{- $ports = concat $ports (default $part.usual $named) -}}
{{- end -}}
{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}
