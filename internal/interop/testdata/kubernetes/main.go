// Command kubernetes prints tokens of service accounts, made by the code by
// which a cluster's API server makes them, and what the server publishes of
// their keys. It is a module of its own, because Kubernetes is large: what it
// printed is in ../kubernetes.json, which the tests read.
//
//	go run . > ../kubernetes.json
package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"os"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/serviceaccount"
)

const (
	issuer = "https://kubernetes.default.svc.cluster.local" // of a cluster that sets none
	ours   = "https://auth.example.com"
	hour   = 3600
)

// output is what is printed.
type output struct {
	Issuer    string            `json:"issuer"`
	Subject   string            `json:"subject"`
	UID       string            `json:"uid"`
	Tokens    map[string]string `json:"tokens"`
	Discovery json.RawMessage   `json:"discovery"`
	JWKS      json.RawMessage   `json:"jwks"`
}

// request is what a pod's volume asks the API server for.
type request struct {
	key       crypto.Signer
	uid       types.UID
	audience  []string
	expires   int64 // seconds
	warnAfter int64 // seconds; 0: it is not extended
}

func (r request) token() (string, error) {
	meta := func(name string, uid types.UID) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "shop", Name: name, UID: uid}
	}
	claims, private, err := serviceaccount.Claims(core.ServiceAccount{ObjectMeta: meta("checkout", r.uid)},
		&core.Pod{ObjectMeta: meta("checkout-7d4f9c8b6-x2vqz", "5b1c7c1e-6a0f-4a86-9d0a-0c8d3fb0b3a4")}, nil,
		&core.Node{ObjectMeta: meta("node-1", "0f6f7a52-3a3e-4b4e-8b53-7a6f2f7c1f10")}, nil, nil,
		r.expires, r.warnAfter, r.audience, nil)
	if err != nil {
		return "", err
	}
	generator, err := serviceaccount.JWTTokenGenerator(issuer, r.key)
	if err != nil {
		return "", err
	}
	return generator.GenerateToken(context.Background(), claims, private)
}

func main() {
	out, err := tokens()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	printer := json.NewEncoder(os.Stdout)
	printer.SetIndent("", "  ")
	if err := printer.Encode(out); err != nil {
		os.Exit(1)
	}
}

func tokens() (output, error) {
	out := output{Issuer: issuer, Subject: "system:serviceaccount:shop:checkout",
		UID: "2f3f8b9e-5a0f-4a53-9a57-1d2f4c1f6d11", Tokens: map[string]string{}}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return out, err
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return out, err
	}
	uid := types.UID(out.UID)
	for name, of := range map[string]request{
		"projected RS256": {key: rsaKey, uid: uid, audience: []string{ours}, expires: hour},
		"projected ES256": {key: ecKey, uid: uid, audience: []string{ours}, expires: hour},
		"another account of the name": {key: rsaKey, uid: "b0a7f3f5-8f0e-4f5c-a6d7-5f5a3d2c9e01",
			audience: []string{ours}, expires: hour},
		"for two": {key: rsaKey, uid: uid, audience: []string{ours, issuer}, expires: hour},
		"for the API server": {key: rsaKey, uid: uid, audience: []string{issuer},
			expires: serviceaccount.ExpirationExtensionSeconds, warnAfter: serviceaccount.WarnOnlyBoundTokenExpirationSeconds},
	} {
		if out.Tokens[name], err = of.token(); err != nil {
			return out, err
		}
	}
	keys, err := serviceaccount.StaticPublicKeysGetter([]any{&rsaKey.PublicKey, &ecKey.PublicKey})
	if err != nil {
		return out, err
	}
	metadata, err := serviceaccount.NewOpenIDMetadataProvider(issuer, issuer+"/openid/v1/jwks", "", keys)
	if err != nil {
		return out, err
	}
	out.Discovery, _ = metadata.GetConfigJSON()
	out.JWKS, _ = metadata.GetKeysetJSON()
	return out, nil
}
