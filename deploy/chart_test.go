package deploy_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// everything turns on all that the chart has, with one text wherever a name of
// Kubernetes or a label can stand.
func everything(name string) values {
	return minimal().with(values{
		"image.repository": "registry.example.com:5000/svcauth", "image.tag": name,
		"imagePullSecrets": []any{map[string]any{"name": name}},
		"nameOverride":     name, "catalog": catalogWith(name),
		"secrets.name": name, "secrets.masterKey": name, "secrets.masterKeyPrevious": name + "-old",
		"secrets.redisURLKey": name, "secrets.smtpURLKey": name,
		"tls.secretName": name, "tls.clientCertificates.listen": true,
		"tls.clientCertificates.url":          "https://mtls.example.com",
		"tls.clientCertificates.caSecretName": name, "tls.clientCertificates.service.type": "LoadBalancer",
		"tls.clientCertificates.service.annotations": map[string]any{name: name},
		"networkPolicy.mtlsFrom": []any{map[string]any{
			"podSelector": map[string]any{"matchLabels": map[string]any{name: name}}}},
		"connections.redis.caSecretName": name, "connections.otlp.caConfigMapName": name,
		"connections.otlp.tlsSecretName": name, "extraEnv": []any{map[string]any{"name": "TEXT", "value": name}},
		"extraVolumes":      []any{map[string]any{"name": name, "secret": map[string]any{"secretName": name}}},
		"extraVolumeMounts": []any{map[string]any{"name": name, "mountPath": "/" + name}},
		"service.type":      "NodePort", "service.nodePort": 30080,
		"service.annotations": map[string]any{"example.com/a": name},
		"ingress.enabled":     true, "ingress.className": name, "ingress.tlsSecretName": name,
		"ingress.annotations": map[string]any{name: name},
		"autoscaling.enabled": true, "podDisruptionBudget.maxUnavailable": "50%",
		"networkPolicy.from": []any{map[string]any{
			"podSelector": map[string]any{"matchLabels": map[string]any{name: name}}}},
		"networkPolicy.egress": []any{map[string]any{
			"to": []any{map[string]any{"ipBlock": map[string]any{"cidr": "10.0.0.0/8"}}}}},
		"networkPolicy.metricsFrom": []any{map[string]any{
			"namespaceSelector": map[string]any{"matchLabels": map[string]any{name: name}}}},
		"serviceMonitor.enabled": true, "serviceMonitor.labels": map[string]any{name: name},
		"serviceAccount.name": name, "serviceAccount.annotations": map[string]any{name: name},
		"podAnnotations": map[string]any{name: name}, "podLabels": map[string]any{name: name},
		"nodeSelector": map[string]any{name: name},
		"tolerations": []any{map[string]any{
			"key": name, "operator": "Equal", "value": name, "effect": "NoSchedule"}},
		"priorityClassName":   name,
		"hostAliases":         []any{map[string]any{"ip": "10.1.2.3", "hostnames": []any{name, "db.internal"}}},
		"migration.resources": map[string]any{"limits": map[string]any{"memory": "128Mi"}},
	})
}

func catalogWith(description string) map[string]any {
	return map[string]any{"apis": []any{map[string]any{
		"audience": "https://api.cloud.example", "name": description,
		"privileges": []any{map[string]any{"name": "clusters:view", "title": description, "description": description}},
	}}}
}

// Text that YAML reads as something else than text, wherever Kubernetes takes
// it.
func TestChartRendersNamesThatYAMLReadsAsSomethingElse(t *testing.T) {
	for _, name := range []string{"plain", "no", "on", "y", "null", "true", "123", "1e3", "0x1f", "0o17", "012",
		"2026-01-01"} {
		t.Run(name, func(t *testing.T) {
			k := render(t, name, everything(name))
			pod := k.deployment.Spec.Template
			require.Equal(t, name, pod.Labels["app.kubernetes.io/instance"])
			require.Equal(t, name, pod.Labels["app.kubernetes.io/name"])
			for _, texts := range []map[string]string{pod.Labels, pod.Annotations, pod.Spec.NodeSelector,
				k.ingress.Annotations, k.serviceAccount.Annotations, k.monitor.GetLabels()} {
				require.Equal(t, name, texts[name])
			}
			job := k.job.Spec.Template.Spec
			for _, spec := range []corev1.PodSpec{pod.Spec, job} {
				require.Equal(t, "registry.example.com:5000/svcauth:"+name, spec.Containers[0].Image)
				require.Equal(t, name, spec.Tolerations[0].Value)
				require.Equal(t, name, spec.PriorityClassName)
				require.Equal(t, name, spec.ImagePullSecrets[0].Name)
				require.Equal(t, []string{name, "db.internal"}, spec.HostAliases[0].Hostnames)
				require.Contains(t, spec.Containers[0].Env, corev1.EnvVar{Name: "TEXT", Value: name})
				require.Contains(t, spec.Containers[0].VolumeMounts,
					corev1.VolumeMount{Name: name, MountPath: "/" + name})
				require.Equal(t, name, volume(t, spec, "secrets").Secret.SecretName)
				require.Equal(t, name, volume(t, spec, "tls").Secret.SecretName)
				require.Equal(t, name, volume(t, spec, "ca-clients").Secret.SecretName)
				require.Equal(t, name, volume(t, spec, "ca-redis").Secret.SecretName)
				require.Equal(t, name, volume(t, spec, "ca-otlp").ConfigMap.Name)
				require.Equal(t, name, volume(t, spec, "tls-otlp").Secret.SecretName)
				require.Equal(t, name, volume(t, spec, name).Secret.SecretName)
			}
			require.Equal(t, name, *k.ingress.Spec.IngressClassName)
			require.Equal(t, name, k.serviceAccount.Name)
			require.Equal(t, name, pod.Spec.ServiceAccountName)
			require.EqualValues(t, 30080,
				k.services[k.ingress.Spec.Rules[0].HTTP.Paths[0].Backend.Service.Name].Spec.Ports[0].NodePort)
			taken(t, k)
		})
	}
}

func volume(t *testing.T, spec corev1.PodSpec, name string) corev1.Volume {
	t.Helper()
	for _, v := range spec.Volumes {
		if v.Name == name {
			return v
		}
	}
	require.Fail(t, "no volume", name)
	return corev1.Volume{}
}

// odd is text as people write it where anything goes: annotations, variables
// and the product's own configuration.
var odd = []string{
	"", "no", "off", "~", "null", "123", "1.10", "1e3", "0x1f", "0o17", "1_000", ".5", ".inf", "1:30", "2026-01-01",
	"=", "<<", "|", ">", "---", "...",
	"*.example.com", "&a", "!x", "%y", "@z", "`q`", "a: b", "a #b", "#c", "- d", "? e", "{f}", "[g]", `"h"`, `'i'`,
	`\j`, ` k `, "l\nm\n\n", "\tn", "o\r\np",
	" ", "\u00a0", "\ufeff", "\ufeffq", "\x7f", "r\u0085s", "t\u2028u\u2029", "\x1b[0m", "\u009b", "\ufffe\uffff",
	"ü 漢字 🎉", "{{ .Values.secrets }}", "$(HOSTNAME)",
}

// Any text comes out as it went in.
func TestChartKeepsAnyText(t *testing.T) {
	texts, env, tolerations := map[string]any{}, []any{}, []any{}
	for i, text := range odd {
		texts[fmt.Sprint("example.com/t", i)] = text
		env = append(env, map[string]any{"name": fmt.Sprint("T", i), "value": text})
		tolerations = append(tolerations, map[string]any{"key": "example.com/t", "value": text})
	}
	privileges, descriptions := []any{}, []string{}
	for i, text := range odd {
		if svcauth.CheckText(text) == nil && strings.TrimSpace(text) == text {
			descriptions = append(descriptions, text)
			privileges = append(privileges,
				map[string]any{"name": fmt.Sprintf("things:p%d", i), "title": "Text", "description": text})
		}
	}
	manifests, err := template(t, "release", minimal().with(values{
		"service.annotations": texts, "ingress.annotations": texts, "serviceAccount.annotations": texts,
		"podAnnotations": texts, "extraEnv": env,
		"ingress.enabled": true,
		"catalog": map[string]any{"apis": []any{map[string]any{"audience": "https://api.cloud.example",
			"name": "API: #1 \"one\"", "privileges": privileges}}},
		"tolerations": tolerations, "config.smtp.from": `"Auth: #1, 'no' *" <no-reply@example.com>`,
		"config.smtp.url": "smtps://mail.example.com:465",
	}))
	require.NoError(t, err)
	k := decode(t, manifests)
	for _, annotations := range []map[string]string{k.services["release-svcauth"].Annotations, k.ingress.Annotations,
		k.serviceAccount.Annotations, k.deployment.Spec.Template.Annotations} {
		for i, text := range odd {
			require.Equal(t, text, annotations[fmt.Sprint("example.com/t", i)])
		}
	}
	for _, spec := range []corev1.PodSpec{k.deployment.Spec.Template.Spec, k.job.Spec.Template.Spec} {
		for i, text := range odd {
			require.Contains(t, spec.Containers[0].Env, corev1.EnvVar{Name: fmt.Sprint("T", i), Value: text})
			require.Equal(t, text, spec.Tolerations[i].Value)
		}
	}
	cfg, listed := taken(t, k)
	require.Equal(t, `"Auth: #1, 'no' *" <no-reply@example.com>`, cfg.SMTP.From)
	for i, text := range descriptions {
		require.Equal(t, text, listed.Privileges[i].Description)
	}
}

// taken reads the configuration and the catalogue that the chart rendered, the
// server's and the migration's, as the server does.
func taken(t *testing.T, k *kubernetes) (cfg config.Config, listed config.Catalog) {
	t.Helper()
	require.NotEmpty(t, k.configMaps)
	for _, m := range k.configMaps {
		dir := t.TempDir() // in place of the pod's directories
		mounts := strings.NewReplacer("/run/secrets", dir, "/run/certificates", dir, "/etc/svcauth", dir)
		file := mounts.Replace(m.Data["svcauth.yaml"])
		for _, path := range regexp.MustCompile(regexp.QuoteMeta(dir)+`[^\s"'\\]*`).FindAllString(file, -1) {
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
			require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("k", 32)), 0o600))
		}
		for name, text := range map[string]string{"svcauth.yaml": file, "catalog.yaml": m.Data["catalog.yaml"]} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
		}
		var err error
		cfg, err = config.Load(config.LoadOptions{File: filepath.Join(dir, "svcauth.yaml")})
		require.NoError(t, err, "%s", file)
		if m.Data["catalog.yaml"] != "" {
			listed, err = config.LoadCatalog(filepath.Join(dir, "catalog.yaml"), cfg.Issuer)
			require.NoError(t, err)
		}
	}
	return cfg, listed
}

// TestChartMountsCertificates gives each connection an authority, by a
// ConfigMap and by a Secret, and a certificate of its own: each is mounted
// where the configuration says that it is.
func TestChartMountsCertificates(t *testing.T) {
	mutual := map[string]bool{"database": true, "redis": true, "otlp": true}
	for _, kind := range []string{"caSecretName", "caConfigMapName"} {
		v := minimal().with(values{"config.redis.url": "rediss://redis:6379", "secrets.redisURLKey": "",
			"config.oidc.issuer": "https://id.example.com", "config.oidc.client_id": "svcauth",
			"config.oidc.client_secret_file": "/run/secrets/svcauth/oidc"})
		for _, of := range []string{"database", "oidc", "otlp", "redis", "smtp"} {
			v["connections."+of+"."+kind] = of + "-authority"
			if mutual[of] {
				v["connections."+of+".tlsSecretName"] = of + "-own"
			}
		}
		k := render(t, "release", v)
		var file map[string]any
		require.NoError(t, sigsyaml.UnmarshalStrict([]byte(k.configMaps["release-svcauth"].Data["svcauth.yaml"]),
			&file))
		url := file["database"].(map[string]any)["url"].(string)
		require.True(t, strings.HasPrefix(url, v["config.database.url"].(string)+"&"), url)
		query := url[strings.Index(url, "?"):]
		for of, parts := range map[string][]string{
			"database": {"sslrootcert", "sslcert", "sslkey"}, "oidc": {"ca_file"},
			"otlp":  {"ca_file", "cert_file", "key_file"},
			"redis": {"ca_file", "cert_file", "key_file"}, "smtp": {"ca_file"},
		} {
			for i, part := range parts {
				at := "/run/certificates/" + []string{"ca-", "tls-", "tls-"}[i] + of
				path := at + []string{"/ca.crt", "/tls.crt", "/tls.key"}[i]
				if of == "database" {
					require.Contains(t, query, "&"+part+"="+path)
				} else {
					require.Equal(t, path, file[of].(map[string]any)[part], "%s.%s", of, part)
				}
				for _, spec := range []corev1.PodSpec{k.deployment.Spec.Template.Spec, k.job.Spec.Template.Spec} {
					require.Contains(t, spec.Containers[0].VolumeMounts,
						corev1.VolumeMount{Name: filepath.Base(at), MountPath: at, ReadOnly: true})
					source := volume(t, spec, filepath.Base(at))
					switch {
					case i > 0:
						require.Equal(t, of+"-own", source.Secret.SecretName)
						require.EqualValues(t, 0o440, *source.Secret.DefaultMode)
					case kind == "caSecretName":
						require.Equal(t, of+"-authority", source.Secret.SecretName)
						require.Equal(t, []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}}, source.Secret.Items,
							"not the authority's key")
					default:
						require.Equal(t, of+"-authority", source.ConfigMap.Name)
					}
				}
			}
		}
		cfg, _ := taken(t, k)
		require.Equal(t, "ca.crt", filepath.Base(cfg.Redis.CAFile))
	}
}

// Numbers come out whole: a value of a million must not become 1e+06.
func TestChartKeepsLargeNumbers(t *testing.T) {
	k := render(t, "release", minimal().with(values{
		"terminationGracePeriodSeconds": 2592000, "migration.activeDeadlineSeconds": 2592000,
		"migration.backoffLimit": 1000000,
		"config.cache.clients":   10000000, "config.limits.max_connections": 1000000,
	}))
	require.EqualValues(t, 2592000, *k.deployment.Spec.Template.Spec.TerminationGracePeriodSeconds)
	require.EqualValues(t, 2592000, *k.job.Spec.ActiveDeadlineSeconds)
	cfg, _ := taken(t, k)
	require.Equal(t, 10000000, cfg.Cache.Clients)
}

// Issuers and hosts of the Ingress: a host is a host, without a port.
func TestChartRendersHosts(t *testing.T) {
	for _, c := range []struct{ issuer, host, want string }{
		{"https://auth.example.com", "", "auth.example.com"},
		{"https://auth.example.com:8443", "", "auth.example.com"},
		{"https://auth.example.com:8443/tenant/one", "", "auth.example.com"},
		{"https://auth.example.com", "*.example.com", "*.example.com"},
		{"https://10.0.0.1:8443", "auth.internal", "auth.internal"},
		{"https://1e3", "", "1e3"},
		{"https://123.example", "", "123.example"},
		{"https://no", "", "no"},
	} {
		t.Run(c.issuer+" "+c.host, func(t *testing.T) {
			k := render(t, "release", minimal().with(values{"config.issuer": c.issuer, "ingress.enabled": true,
				"ingress.host": c.host, "ingress.tlsSecretName": "tls"}))
			require.Equal(t, c.want, k.ingress.Spec.Rules[0].Host)
			require.Equal(t, []string{c.want}, k.ingress.Spec.TLS[0].Hosts)
			cfg, _ := taken(t, k)
			require.Equal(t, c.issuer, cfg.Issuer)
		})
	}
}

// Names of releases that Helm takes, and names that are given.
func TestChartMakesNamesThatServicesMayHave(t *testing.T) {
	for _, c := range []struct{ release, override, want string }{
		{"svcauth", "", "svcauth"},
		{"my-svcauth", "", "my-svcauth"},
		{"123", "", "svcauth-123"},
		{"9svcauth", "", "svcauth-9svcauth"},
		{"a.b", "", "a-b-svcauth"},
		{strings.Repeat("a", 53), "", strings.Repeat("a", 50)},
		{strings.Repeat("a", 49) + "-bcd", "", strings.Repeat("a", 49)},
		{strings.Repeat("a", 48) + ".-.b", "", ""}, // Helm refuses it
		{strings.Repeat("1", 53), "", "svcauth-" + strings.Repeat("1", 42)},
		{"release", "no", "no"},
		{"release", strings.Repeat("n", 50), strings.Repeat("n", 50)},
	} {
		t.Run(c.release+" "+c.override, func(t *testing.T) {
			v := minimal().with(values{"fullnameOverride": c.override, "ingress.enabled": true,
				"serviceMonitor.enabled": true, "networkPolicy.metricsFrom": fromMonitoring})
			if c.want == "" {
				_, err := template(t, c.release, v)
				require.Error(t, err)
				return
			}
			k := render(t, c.release, v)
			require.Equal(t, c.want, k.deployment.Name)
			require.Equal(t, c.release, k.deployment.Spec.Template.Labels["app.kubernetes.io/instance"])
			require.Equal(t, c.want, k.serviceAccount.Name)
		})
	}
}

// What Kubernetes would refuse, or read as something else than was meant, is
// refused before anything is installed, by the name of the value.
func TestChartRefusesWhatCannotBe(t *testing.T) {
	for name, v := range map[string]values{
		"image/tag":          {"image.tag": 1.1},
		"image/tag ":         {"image.tag": "a tag"},
		"image/repository":   {"image.repository": "has space"},
		"fullnameOverride":   {"fullnameOverride": "123"},
		"fullnameOverride ":  {"fullnameOverride": "Capital"},
		"fullnameOverride  ": {"fullnameOverride": strings.Repeat("n", 51)},
		"nameOverride":       {"nameOverride": "a b"},
		"podLabels":          {"podLabels": map[string]any{"a": 1}},
		"podLabels/a":        {"podLabels": map[string]any{"a": "*.example.com"}},
		"podAnnotations/a":   {"podAnnotations": map[string]any{"a": true}},
		"nodeSelector/a":     {"nodeSelector": map[string]any{"a": false}},
		"secrets/name":       {"secrets.name": "My_Secret"},
		"secrets/masterKey":  {"secrets.masterKey": "../master.key"},
		"tls/secretName":     {"tls.secretName": "a/b"},
		"tls/clientCertificates": {"tls.clientCertificates.caSecretName": "a",
			"tls.clientCertificates.caConfigMapName": "b"},
		"tls/clientCertificates/url":          {"tls.clientCertificates.url": "http://mtls.example.com"},
		"tls/clientCertificates/format":       {"tls.clientCertificates.format": "pem"},
		"tls/clientCertificates/header":       {"tls.clientCertificates.header": "X: y"},
		"tls.clientCertificates.listen":       {"tls.clientCertificates.listen": true},
		"tls.clientCertificates.url":          {"tls.clientCertificates.listen": true, "tls.secretName": "a"},
		"tls.clientCertificates.header":       {"tls.clientCertificates.header": "Client-Cert"},
		"tls.clientCertificates.caSecretName": {"tls.clientCertificates.caSecretName": "a"},
		"tls.clientCertificates.url is":       {"tls.clientCertificates.url": "https://auth.example.com"},
		"extraEnv/0/value":                    {"extraEnv": []any{map[string]any{"name": "A", "value": 1}}},
		"extraEnv/0":                          {"extraEnv": []any{map[string]any{"value": "1"}}},
		"extraVolumes/0/name": {"extraVolumes": []any{map[string]any{"name": "secrets",
			"emptyDir": map[string]any{}}}},
		"extraVolumeMounts/0": {"extraVolumeMounts": []any{map[string]any{"name": "a"}}},
		"hostAliases/0/hostnames/0": {"hostAliases": []any{map[string]any{"ip": "10.0.0.1",
			"hostnames": []any{"a_b"}}}},
		"connections/redis": {"connections.redis.caSecretName": "a", "connections.redis.caConfigMapName": "b"},
		"connections/smtp":  {"connections.smtp.tlsSecretName": "a"},
		"connections.redis": {"connections.redis.caSecretName": "a", "config.redis.ca_file": "/run/ca.crt"},
		"connections.database": {"connections.database.caSecretName": "a",
			"config.database.url": "postgres://u@db/svcauth?sslrootcert=/run/ca.crt"},
		"extraVolumes/0/name ": {"extraVolumes": []any{map[string]any{"name": "ca-redis",
			"emptyDir": map[string]any{}}}},
		"service":                    {"service.nodePort": 30080},
		"service/nodePort":           {"service.type": "NodePort", "service.nodePort": 70000},
		"ingress/host":               {"ingress.host": "auth.example.com:8443"},
		"ingress.host":               {"ingress.enabled": true, "config.issuer": "https://10.0.0.1"},
		"podDisruptionBudget":        {"podDisruptionBudget.maxUnavailable": "1"},
		"config/database/url":        {"config.database.url": "postgres://u:secret@db/svcauth"},
		"config/database/url ":       {"config.database.url": "postgres://u@db/svcauth?password=secret"},
		"config/smtp/url":            {"config.smtp.url": "smtps://u:secret@mail:465"},
		"serviceAccount/annotations": {"serviceAccount.annotations": "a"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := template(t, "release", minimal().with(v))
			require.ErrorContains(t, err, strings.TrimSpace(name))
		})
	}
}

// null takes a default away, as it does everywhere in Helm; what the chart
// can't do without is named.
func TestChartTakesNullForEachValue(t *testing.T) {
	k := render(t, "release", minimal().with(values{"podSecurityContext": map[string]any{"runAsUser": nil,
		"runAsGroup": nil, "fsGroup": nil}}))
	// OpenShift writes its own
	for _, spec := range []corev1.PodSpec{k.deployment.Spec.Template.Spec, k.job.Spec.Template.Spec} {
		require.Nil(t, spec.SecurityContext.RunAsUser)
		require.Nil(t, spec.SecurityContext.RunAsGroup)
		require.Nil(t, spec.SecurityContext.FSGroup)
		require.True(t, *spec.SecurityContext.RunAsNonRoot)
		require.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, spec.SecurityContext.SeccompProfile.Type)
	}
	var defaults map[string]any
	require.NoError(t, sigsyaml.UnmarshalStrict([]byte(read(t, "helm/svcauth/values.yaml")), &defaults))
	paths := slices.Collect(maps.Keys(defaults))
	for name, value := range defaults {
		if nested, ok := value.(map[string]any); ok {
			for inner := range nested {
				paths = append(paths, name+"."+inner)
			}
		}
	}
	slices.Sort(paths)
	for _, path := range paths {
		if strings.HasPrefix(path, "config") { // minimal's own
			continue
		}
		t.Run(path, func(t *testing.T) {
			v := minimal().with(values{"ingress.enabled": true, "autoscaling.enabled": true,
				"serviceMonitor.enabled": true, "networkPolicy.metricsFrom": fromMonitoring})
			for other := range v { // a tree has either the whole or a part of it
				if strings.HasPrefix(other, path+".") {
					delete(v, other)
				}
			}
			manifests, err := template(t, "release", v.with(values{path: nil}))
			if err != nil {
				require.NotContains(t, err.Error(), "nil pointer")
				require.ErrorContains(t, err, path[strings.Index(path, ".")+1:])
				return
			}
			require.Empty(t, decode(t, manifests).refused())
		})
	}
}

// The variables that the chart sets itself give way to those of extraEnv, and
// own labels that select pods give way to nobody's.
func TestChartSetsNothingTwice(t *testing.T) {
	mine := map[string]any{"app.kubernetes.io/name": "mine", "app.kubernetes.io/component": "mine",
		"helm.sh/chart": "mine", "checksum/config": "mine"}
	k := render(t, "release", minimal().with(values{
		"podLabels": mine, "podAnnotations": mine, "serviceMonitor.enabled": true, "serviceMonitor.labels": mine,
		"networkPolicy.metricsFrom": fromMonitoring,
		"extraEnv": []any{map[string]any{"name": "GOMEMLIMIT", "value": "1GiB"},
			map[string]any{"name": "SVCAUTH_REDIS_URL", "value": "redis://redis:6379"}},
	}))
	require.Contains(t, k.deployment.Spec.Template.Spec.Containers[0].Env,
		corev1.EnvVar{Name: "GOMEMLIMIT", Value: "1GiB"})
	require.Equal(t, "server", k.deployment.Spec.Template.Labels["app.kubernetes.io/component"])
	require.NotEqual(t, "mine", k.deployment.Spec.Template.Annotations["checksum/config"])
	labels, _, err := unstructured.NestedStringMap(k.monitor.Object, "metadata", "labels")
	require.NoError(t, err)
	require.Equal(t, "mine", labels["helm.sh/chart"])
}

// Text is put into YAML by quote, toYaml or toJson alone, so that no value can
// be read as something else. It needs no Helm.
func TestEveryTextOfTheChartIsQuoted(t *testing.T) {
	files, err := filepath.Glob("helm/svcauth/templates/*")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	action := regexp.MustCompile(`(?s)\{\{-?\s*(.*?)\s*-?\}\}`)
	control := regexp.MustCompile(`^(if|else|end|range|with|define|fail|/\*|\$\w+ :?=|\$_ )`)
	for _, file := range files {
		if filepath.Ext(file) == ".txt" {
			continue // read by people
		}
		text := read(t, file)
		if filepath.Ext(file) == ".tpl" { // what gives a text is quoted where it is put in
			text = regexp.MustCompile(`(?s)\{\{/\* Text\. \*/\}\}.*?\n\{\{- end -\}\}\n\n`).ReplaceAllString(text, "")
		}
		for _, found := range action.FindAllStringSubmatch(text, -1) {
			if !control.MatchString(found[1]) {
				require.Regexp(t, `\| (quote|int64|toJson|n?indent \d+)$`, found[1], "%s: %s", file, found[0])
			}
		}
	}
}

// fromMonitoring is where a Prometheus usually runs.
var fromMonitoring = []any{map[string]any{"namespaceSelector": map[string]any{
	"matchLabels": map[string]any{"kubernetes.io/metadata.name": "monitoring"}}}}

// What is switched on is let through by the network policy.
func TestChartLetsThroughWhatIsSwitchedOn(t *testing.T) {
	for name, c := range map[string]struct {
		values values
		ports  []int32
	}{
		"the least": {values{"secrets.redisURLKey": ""}, []int32{443, 5432}},
		"no port named": {values{"secrets.redisURLKey": "", "config.database.url": "postgres:///svcauth"},
			[]int32{443, 5432, 6432}},
		"several hosts": {values{"secrets.redisURLKey": "",
			"config.database.url": "postgres://svcauth@a.svc:5433,b.svc:5434/svcauth?target_session_attrs=any"},
			[]int32{443, 5433, 5434}},
		"a password like a port": {values{"secrets.redisURLKey": "", "extraEnv": []any{
			map[string]any{"name": "SVCAUTH_REDIS_URL", "value": "redis://:5999@cache.svc/0"}}},
			[]int32{443, 5432, 6379, 26379}},
		"Redis in a Secret": {values{}, []int32{443, 5432, 6379, 26379}},
		"Redis by variable": {values{"secrets.redisURLKey": "", "extraEnv": []any{
			map[string]any{"name": "SVCAUTH_REDIS_URL", "value": "rediss://cache.svc:6380"}}},
			[]int32{443, 5432, 6380}},
		"all": {values{"secrets.redisURLKey": "", "config.redis.url": "redis://cache.svc:7000",
			"config.smtp.url": "smtp://mail.svc:2525", "config.oidc.issuer": "https://login.example.com/realms/a",
			"config.otlp.endpoint": "http://collector.svc:4318"}, []int32{443, 2525, 4318, 5432, 7000}},
		"mail in a Secret": {values{"secrets.redisURLKey": "", "secrets.smtpURLKey": "smtp-url"},
			[]int32{443, 465, 587, 5432}},
	} {
		t.Run(name, func(t *testing.T) {
			k := render(t, "release", minimal().with(values{"replicaCount": 1}).with(c.values))
			var got []int32
			for _, rule := range k.networkPolicy.Spec.Egress {
				for _, port := range rule.Ports {
					if port.Port.IntVal != 53 {
						got = append(got, port.Port.IntVal)
					}
				}
			}
			slices.Sort(got)
			require.Equal(t, c.ports, got)
		})
	}
	_, err := template(t, "release", minimal().with(values{"serviceMonitor.enabled": true}))
	require.ErrorContains(t, err, "networkPolicy.metricsFrom", "a monitor that can't ask anybody")
}
