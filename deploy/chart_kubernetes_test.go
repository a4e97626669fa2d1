package deploy_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigsyaml "sigs.k8s.io/yaml"
)

// kubernetes is what a chart rendered, in Kubernetes' own types.
type kubernetes struct {
	deployment     appsv1.Deployment
	services       map[string]corev1.Service
	configMaps     map[string]corev1.ConfigMap
	serviceAccount corev1.ServiceAccount
	job            batchv1.Job
	ingress        networkingv1.Ingress
	networkPolicy  networkingv1.NetworkPolicy
	budget         policyv1.PodDisruptionBudget
	autoscaler     autoscalingv2.HorizontalPodAutoscaler
	monitor        unstructured.Unstructured
}

// decode reads manifests as the API server does with strict validation of
// fields: an unknown field, one given twice and a value of another type are
// errors.
func decode(t *testing.T, manifests string) *kubernetes {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, autoscalingv2.AddToScheme, batchv1.AddToScheme, corev1.AddToScheme,
		networkingv1.AddToScheme, policyv1.AddToScheme,
	} {
		require.NoError(t, add(scheme))
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	k := &kubernetes{services: map[string]corev1.Service{}, configMaps: map[string]corev1.ConfigMap{}}
	documents := yaml.NewYAMLReader(bufio.NewReader(strings.NewReader(manifests)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return k
		}
		require.NoError(t, err)
		if len(bytes.TrimSpace(document)) == 0 {
			continue
		}
		object, _, err := decoder.Decode(document, nil, nil)
		if runtime.IsNotRegisteredError(err) { // the types of Prometheus' operator are not Kubernetes' own
			require.NoError(t, sigsyaml.UnmarshalStrict(document, &k.monitor.Object), "%s", document)
			continue
		}
		require.NoError(t, err, "%s", document)
		k.add(t, object)
	}
}

func (k *kubernetes) add(t *testing.T, object runtime.Object) {
	switch o := object.(type) {
	case *appsv1.Deployment:
		k.deployment = *o
	case *corev1.Service:
		k.services[o.Name] = *o
	case *corev1.ConfigMap:
		k.configMaps[o.Name] = *o
	case *corev1.ServiceAccount:
		k.serviceAccount = *o
	case *batchv1.Job:
		k.job = *o
	case *networkingv1.Ingress:
		k.ingress = *o
	case *networkingv1.NetworkPolicy:
		k.networkPolicy = *o
	case *policyv1.PodDisruptionBudget:
		k.budget = *o
	case *autoscalingv2.HorizontalPodAutoscaler:
		k.autoscaler = *o
	default:
		require.Fail(t, "nothing checks this", "%T", object)
	}
}

// refusals collects what Kubernetes would not take.
type refusals []string

func (r *refusals) check(where string, said ...[]string) {
	for _, list := range said {
		for _, text := range list {
			*r = append(*r, where+": "+text)
		}
	}
}

func (r *refusals) errors(list field.ErrorList) {
	for _, err := range list {
		*r = append(*r, err.Error())
	}
}

func (r *refusals) unless(ok bool, where string) {
	if !ok {
		*r = append(*r, where)
	}
}

// optional checks text that may be left out.
func optional(check func(string) []string, text string) []string {
	if text == "" {
		return nil
	}
	return check(text)
}

// refused is what Kubernetes' validation says to all of it. Its own functions
// are used as far as they are in modules made for others; the rest of its rules
// is written down here.
func (k *kubernetes) refused() []string {
	r := &refusals{}
	k.checkMetadata(r)
	k.checkPod(r, "deployment", k.deployment.Spec.Template)
	k.checkPod(r, "job", k.job.Spec.Template)
	k.checkNetwork(r)
	k.checkSelectors(r)
	for name, m := range k.configMaps {
		for key := range m.Data {
			r.check("configmap "+name, validation.IsConfigMapKey(key))
		}
	}
	if k.autoscaler.Name != "" {
		spec := k.autoscaler.Spec
		r.unless(spec.MinReplicas != nil && *spec.MinReplicas >= 1 && spec.MaxReplicas >= *spec.MinReplicas,
			"autoscaler: minReplicas over maxReplicas")
		r.unless(spec.ScaleTargetRef.Name == k.deployment.Name, "autoscaler: scales "+spec.ScaleTargetRef.Name)
		r.unless(k.deployment.Spec.Replicas == nil, "deployment: replicas beside an autoscaler")
	}
	if u := k.budget.Spec.MaxUnavailable; u != nil && u.Type == intstr.String {
		r.check("budget", validation.IsValidPercent(u.StrVal))
	}
	r.unless(k.job.Spec.ActiveDeadlineSeconds == nil || *k.job.Spec.ActiveDeadlineSeconds > 0,
		"job: activeDeadlineSeconds")
	return *r
}

func (k *kubernetes) checkMetadata(r *refusals) {
	meta := func(kind string, m metav1.ObjectMeta, name apivalidation.ValidateNameFunc) {
		if m.Name == "" && kind != "Deployment" {
			return // not rendered
		}
		m.Namespace = "default"
		r.errors(apivalidation.ValidateObjectMeta(&m, true, name, field.NewPath(kind)))
	}
	meta("Deployment", k.deployment.ObjectMeta, apivalidation.NameIsDNSSubdomain)
	for _, s := range k.services {
		meta("Service", s.ObjectMeta, apivalidation.NameIsDNS1035Label)
	}
	for _, m := range k.configMaps {
		meta("ConfigMap", m.ObjectMeta, apivalidation.NameIsDNSSubdomain)
	}
	meta("ServiceAccount", k.serviceAccount.ObjectMeta, apivalidation.ValidateServiceAccountName)
	meta("Job", k.job.ObjectMeta, apivalidation.NameIsDNSLabel) // its pods are named after it
	meta("Ingress", k.ingress.ObjectMeta, apivalidation.NameIsDNSSubdomain)
	meta("NetworkPolicy", k.networkPolicy.ObjectMeta, apivalidation.NameIsDNSSubdomain)
	meta("PodDisruptionBudget", k.budget.ObjectMeta, apivalidation.NameIsDNSSubdomain)
	meta("HorizontalPodAutoscaler", k.autoscaler.ObjectMeta, apivalidation.NameIsDNSSubdomain)
	if k.monitor.Object != nil {
		meta("ServiceMonitor", metav1.ObjectMeta{Name: k.monitor.GetName(), Labels: k.monitor.GetLabels()},
			apivalidation.NameIsDNSSubdomain)
		_, _, err := unstructured.NestedStringMap(k.monitor.Object, "metadata", "labels")
		r.unless(err == nil, fmt.Sprint("ServiceMonitor: ", err))
		_, _, err = unstructured.NestedStringMap(k.monitor.Object, "spec", "selector", "matchLabels")
		r.unless(err == nil, fmt.Sprint("ServiceMonitor: ", err))
	}
}

func (k *kubernetes) checkPod(r *refusals, where string, pod corev1.PodTemplateSpec) {
	if len(pod.Spec.Containers) == 0 {
		r.unless(where == "job", where+": no containers")
		return
	}
	path, spec := field.NewPath(where), pod.Spec
	r.errors(metavalidation.ValidateLabels(pod.Labels, path))
	r.errors(apivalidation.ValidateAnnotations(pod.Annotations, path))
	r.errors(metavalidation.ValidateLabels(spec.NodeSelector, path))
	r.check(where+": serviceAccountName", optional(validation.IsDNS1123Subdomain, spec.ServiceAccountName))
	r.check(where+": priorityClassName", optional(validation.IsDNS1123Subdomain, spec.PriorityClassName))
	for _, s := range spec.ImagePullSecrets {
		r.check(where+": imagePullSecrets", validation.IsDNS1123Subdomain(s.Name))
	}
	for _, toleration := range spec.Tolerations {
		r.check(where+": toleration", optional(validation.IsQualifiedName, toleration.Key),
			validation.IsValidLabelValue(toleration.Value))
	}
	for _, alias := range spec.HostAliases {
		r.unless(net.ParseIP(alias.IP) != nil, where+": host alias "+alias.IP)
		for _, name := range alias.Hostnames {
			r.check(where+": host alias", validation.IsDNS1123Subdomain(name))
		}
	}
	for _, spread := range spec.TopologySpreadConstraints {
		r.check(where+": topologyKey", validation.IsQualifiedName(spread.TopologyKey))
		r.errors(metavalidation.ValidateLabelSelector(spread.LabelSelector,
			metavalidation.LabelSelectorValidationOptions{}, path))
	}
	k.checkVolumes(r, where, spec)
	for _, c := range spec.Containers {
		checkContainer(r, where, c)
	}
}

func (k *kubernetes) checkVolumes(r *refusals, where string, spec corev1.PodSpec) {
	volumes, mounts := map[string]bool{}, map[string]bool{}
	for _, v := range spec.Volumes {
		r.check(where+": volume", validation.IsDNS1123Label(v.Name))
		r.unless(!volumes[v.Name], where+": two volumes "+v.Name)
		volumes[v.Name] = true
		if v.ConfigMap != nil {
			r.check(where+": volume "+v.Name, validation.IsDNS1123Subdomain(v.ConfigMap.Name))
			_, rendered := k.configMaps[v.ConfigMap.Name]
			r.unless(rendered || v.Name != "config", where+": no ConfigMap "+v.ConfigMap.Name)
		}
		if v.Secret != nil {
			r.check(where+": volume "+v.Name, validation.IsDNS1123Subdomain(v.Secret.SecretName))
		}
	}
	for _, m := range spec.Containers[0].VolumeMounts {
		r.unless(volumes[m.Name], where+": mounts no volume "+m.Name)
		r.unless(!mounts[m.MountPath] && m.MountPath != "", where+": two mounts at "+m.MountPath)
		mounts[m.MountPath] = true
	}
}

func checkContainer(r *refusals, where string, c corev1.Container) {
	r.check(where+": container", validation.IsDNS1123Label(c.Name))
	r.unless(c.Image != "" && strings.TrimSpace(c.Image) == c.Image, where+": image "+c.Image)
	set := map[string]bool{}
	for _, e := range c.Env {
		r.check(where+": env", validation.IsRelaxedEnvVarName(e.Name))
		r.unless(!set[e.Name], where+": env "+e.Name+" twice") // the list's key: server-side apply refuses it
		set[e.Name] = true
		if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
			r.unless(e.Value == "", where+": env "+e.Name+" has a value and valueFrom")
			r.check(where+": env "+e.Name, validation.IsDNS1123Subdomain(e.ValueFrom.SecretKeyRef.Name),
				validation.IsConfigMapKey(e.ValueFrom.SecretKeyRef.Key))
		}
	}
	for _, p := range c.Ports {
		r.check(where+": port", validation.IsValidPortName(p.Name), validation.IsValidPortNum(int(p.ContainerPort)))
	}
	for name, quantity := range c.Resources.Requests {
		limit, limited := c.Resources.Limits[name]
		r.unless(!limited || quantity.Cmp(limit) <= 0, where+": requests over limits")
	}
}

func (k *kubernetes) checkNetwork(r *refusals) {
	for _, s := range k.services {
		for _, p := range s.Spec.Ports {
			r.check("service "+s.Name, validation.IsValidPortName(p.Name), validation.IsValidPortNum(int(p.Port)))
			if p.NodePort != 0 {
				r.check("service "+s.Name, validation.IsValidPortNum(int(p.NodePort)))
				r.unless(s.Spec.Type != corev1.ServiceTypeClusterIP, "service "+s.Name+": nodePort with ClusterIP")
			}
		}
	}
	if k.ingress.Name == "" {
		return
	}
	spec := k.ingress.Spec
	if spec.IngressClassName != nil {
		r.check("ingress class", validation.IsDNS1123Subdomain(*spec.IngressClassName))
	}
	host := func(name string) []string {
		if strings.Contains(name, "*") {
			return validation.IsWildcardDNS1123Subdomain(name)
		}
		if net.ParseIP(name) != nil {
			return []string{"must be a DNS name, not an IP address"}
		}
		return validation.IsDNS1123Subdomain(name)
	}
	for _, tls := range spec.TLS {
		r.check("ingress", optional(validation.IsDNS1123Subdomain, tls.SecretName))
		for _, name := range tls.Hosts {
			r.check("ingress", host(name))
		}
	}
	for _, rule := range spec.Rules {
		r.check("ingress", optional(host, rule.Host))
		for _, p := range rule.HTTP.Paths {
			_, there := k.services[p.Backend.Service.Name]
			r.unless(there, "ingress: no service "+p.Backend.Service.Name)
		}
	}
}

// checkSelectors: whoever selects pods selects those that it is meant to.
func (k *kubernetes) checkSelectors(r *refusals) {
	server, migration := labels.Set(k.deployment.Spec.Template.Labels), labels.Set(k.job.Spec.Template.Labels)
	selects := func(who string, selector *metav1.LabelSelector, alsoMigration bool) {
		r.errors(metavalidation.ValidateLabelSelector(selector, metavalidation.LabelSelectorValidationOptions{},
			field.NewPath(who)))
		parsed, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil {
			*r = append(*r, who+": "+err.Error())
			return
		}
		r.unless(!parsed.Empty() && parsed.Matches(server), who+": does not select the server")
		r.unless(len(migration) == 0 || parsed.Matches(migration) == alsoMigration, who+": the migration's pods")
	}
	selects("deployment", k.deployment.Spec.Selector, false)
	if k.budget.Name != "" {
		selects("budget", k.budget.Spec.Selector, false)
	}
	if k.networkPolicy.Name != "" {
		selects("network policy", &k.networkPolicy.Spec.PodSelector, true)
	}
	for _, name := range slices.Sorted(maps.Keys(k.services)) {
		selects("service "+name, &metav1.LabelSelector{MatchLabels: k.services[name].Spec.Selector}, false)
	}
	if k.monitor.Object == nil {
		return
	}
	wanted, _, _ := unstructured.NestedStringMap(k.monitor.Object, "spec", "selector", "matchLabels")
	selected := 0
	for _, s := range k.services {
		if labels.SelectorFromSet(wanted).Matches(labels.Set(s.Labels)) {
			selected++
		}
	}
	r.unless(selected == 1, "monitor: selects not just one service")
}
