package deploy_test

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/svcauth/svcauth/internal/config"
)

// TestChartAsksForCertificates: at a port, a Service and in a rule of the
// network policy of their own; and not at all unless it is said.
func TestChartAsksForCertificates(t *testing.T) {
	mine := minimal().with(values{"tls.secretName": "pair"})
	of := func(spec networkingv1.NetworkPolicySpec, port int32) *networkingv1.NetworkPolicyIngressRule {
		for _, rule := range spec.Ingress {
			if rule.Ports[0].Port.IntVal == port {
				return &rule
			}
		}
		return nil
	}
	k := render(t, "release", mine)
	require.NotContains(t, k.services, "release-svcauth-mtls")
	require.Nil(t, of(k.networkPolicy.Spec, 8443))
	require.Len(t, k.deployment.Spec.Template.Spec.Containers[0].Ports, 2)

	from := []any{map[string]any{"ipBlock": map[string]any{"cidr": "10.0.0.0/8"}}}
	for _, kind := range []string{"caSecretName", "caConfigMapName"} {
		k = render(t, "release", mine.with(values{"networkPolicy.mtlsFrom": from,
			"tls.clientCertificates.listen":       true,
			"tls.clientCertificates.url":          "https://mtls.auth.example.com",
			"tls.clientCertificates." + kind:      "authorities",
			"tls.clientCertificates.service.type": "LoadBalancer",
			"tls.clientCertificates.service.port": 8443}))
		container := k.deployment.Spec.Template.Spec.Containers[0]
		require.Contains(t, container.Ports, corev1.ContainerPort{Name: "mtls", ContainerPort: 8443})
		service := k.services["release-svcauth-mtls"].Spec
		require.Equal(t, corev1.ServiceTypeLoadBalancer, service.Type)
		require.EqualValues(t, 8443, service.Ports[0].Port)
		require.Equal(t, "mtls", service.Ports[0].TargetPort.StrVal)
		require.Equal(t, "10.0.0.0/8", of(k.networkPolicy.Spec, 8443).From[0].IPBlock.CIDR)
		require.Empty(t, of(k.networkPolicy.Spec, 8080).From)
		for _, spec := range []corev1.PodSpec{k.deployment.Spec.Template.Spec, k.job.Spec.Template.Spec} {
			mounted := volume(t, spec, "ca-clients")
			if kind == "caSecretName" {
				require.Equal(t, "authorities", mounted.Secret.SecretName)
				require.Equal(t, []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}}, mounted.Secret.Items,
					"not the authority's key")
			} else {
				require.Equal(t, "authorities", mounted.ConfigMap.Name)
			}
			require.Contains(t, spec.Containers[0].VolumeMounts, corev1.VolumeMount{Name: "ca-clients",
				MountPath: "/run/certificates/ca-clients", ReadOnly: true})
		}
		require.Contains(t, k.configMaps["release-svcauth"].Data["svcauth.yaml"],
			`"client_ca_file": "/run/certificates/ca-clients/ca.crt"`)
		cfg, _ := taken(t, k)
		require.Equal(t, ":8443", cfg.TLS.MTLSListen)
		require.Equal(t, "https://mtls.auth.example.com", cfg.TLS.MTLSURL)
		require.NotEmpty(t, cfg.TLS.CertFile)
	}
}

// TestTheValuesForCertificates renders the values that mtls.md shows.
func TestTheValuesForCertificates(t *testing.T) {
	shown := regexp.MustCompile("(?s)TestTheValuesForCertificates -->\n```yaml\n(.*?)```").FindAllStringSubmatch(
		read(t, "docs/mtls.md"), -1)
	require.Len(t, shown, 2)
	for i, block := range shown {
		var tree map[string]any
		require.NoError(t, sigsyaml.UnmarshalStrict([]byte(block[1]), &tree))
		v := minimal().with(values{"tls": tree["tls"]})
		if config, ok := tree["config"].(map[string]any); ok {
			v["config.trusted_proxies"] = config["trusted_proxies"]
		}
		k := render(t, "release", v)
		cfg, _ := taken(t, k)
		require.Equal(t, "https://mtls.auth.example.com", cfg.TLS.MTLSURL)
		require.NotEmpty(t, cfg.TLS.ClientCAFile)
		require.Equal(t, []string{":8443", ""}[i], cfg.TLS.MTLSListen)
		require.Equal(t, []string{"", "X-SSL-Cert"}[i], cfg.TLS.ClientCertHeader)
		require.Equal(t, []int{3, 2}[i], len(k.services))
	}
}

// TestChartTakesCertificatesFromAProxy, whose fields the values name.
func TestChartTakesCertificatesFromAProxy(t *testing.T) {
	proxied := minimal().with(values{"config.trusted_proxies": []any{"10.0.0.0/8"},
		"tls.clientCertificates.header": "X-SSL-Cert", "tls.clientCertificates.format": "pem-urlencoded"})
	k := render(t, "release", proxied.with(values{"tls.clientCertificates.verifiedHeader": "X-SSL-Verify",
		"tls.clientCertificates.url": "https://mtls.auth.example.com", "tls.clientCertificates.caConfigMapName": "ca"}))
	require.NotContains(t, k.services, "release-svcauth-mtls")
	cfg, _ := taken(t, k)
	require.Equal(t, "ca.crt", cfg.TLS.ClientCAFile[len(cfg.TLS.ClientCAFile)-len("ca.crt"):])
	cfg.TLS.ClientCAFile = ""
	require.Equal(t, config.TLS{MinVersion: "1.2", MTLSURL: "https://mtls.auth.example.com",
		ClientCertHeader: "X-SSL-Cert", ClientCertFormat: "pem-urlencoded",
		ClientCertVerifiedHeader: "X-SSL-Verify"}, cfg.TLS)

	cfg, _ = taken(t, render(t, "release", proxied.with(values{"tls.clientCertificates.format": nil})))
	require.Equal(t, "rfc9440", cfg.TLS.ClientCertFormat)
}
