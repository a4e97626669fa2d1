package provider

import (
	"context"
	"fmt"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

const secretAddress = "svcauth_service_account_secret.s"

// withSecret is an account and its secret, of a given version.
func (w *world) withSecret(secret svcauth.Secret, version int, more string) string {
	return w.config(`
		resource "svcauth_service_account" "a" { name = "a" }
		resource "svcauth_service_account_secret" "s" {
			service_account_id = svcauth_service_account.a.id
			client_secret_wo = %q
			client_secret_wo_version = %d
			%s
		}`, secret.Reveal(), version, more)
}

// works reports whether the account gets a token for the secret.
func (w *world) works(secret svcauth.Secret) bool {
	w.t.Helper()
	source, err := tokensource.New(tokensource.Config{Issuer: w.URL, ClientID: w.named("a").ID, ClientSecret: secret})
	require.NoError(w.t, err)
	defer func() { _ = source.Close() }()
	_, err = source.Token(w.t.Context())
	return err == nil
}

func TestSecretLives(t *testing.T) {
	w := newWorld(t)
	s1, s2 := svcauth.NewSecret(), svcauth.NewSecret()
	ignore := []string{"client_secret_wo_version"}
	mistyped := svcauth.Secret(s1[:len(s1)-1] + "!")
	run(t,
		resource.TestStep{
			Config:      w.withSecret(mistyped, 1, ""),
			ExpectError: regexp.MustCompile(`(?s)Not a client secret.*svcauth_generated_secret`),
		},
		resource.TestStep{
			Config:      w.withSecret(s1, 1, `expires_at = "2001-01-01T00:00:00Z"`),
			ExpectError: regexp.MustCompile(`lies in the past`),
		},
		resource.TestStep{
			Config:      w.withSecret(s1, 1, `keep_previous_for = "0s"`),
			ExpectError: regexp.MustCompile(`over 0`),
		},
		resource.TestStep{Config: w.withSecret(s1, 1, ""), Check: resource.ComposeTestCheckFunc(
			resource.TestCheckResourceAttr(secretAddress, "hint", s1.Hint()),
			resource.TestCheckNoResourceAttr(secretAddress, "client_secret_wo"),
			does(func() { require.True(t, w.works(s1)); require.Len(t, w.named("a").Secrets, 1) }))},
		resource.TestStep{
			Config:           w.withSecret(s1, 1, "description = \"CI\"\nexpires_at = \"2099-01-01T02:00:00+02:00\""),
			ConfigPlanChecks: planned(secretAddress, plancheck.ResourceActionUpdate),
			Check:            resource.TestCheckResourceAttr(secretAddress, "hint", s1.Hint()),
		},
		resource.TestStep{
			Config:   w.withSecret(s1, 1, "description = \"CI\"\nexpires_at = \"2099-01-01T02:00:00+02:00\""),
			PlanOnly: true,
		},
		resource.TestStep{
			PreConfig: func() { // changed outside: shown, set right
				a := w.named("a")
				_, err := w.Admin().UpdateSecret(t.Context(), a.ID, a.Secrets[0].ID, svcauth.SecretPatch{
					ExpiresAt: inHours(1),
				})
				require.NoError(t, err)
			},
			Config:           w.withSecret(s1, 1, ""),
			ConfigPlanChecks: planned(secretAddress, plancheck.ResourceActionUpdate),
			Check: does(func() {
				require.Nil(t, w.named("a").Secrets[0].ExpiresAt)
			}),
		},
		resource.TestStep{
			ResourceName:            secretAddress,
			ImportState:             true,
			ImportStateVerify:       true,
			ImportStateVerifyIgnore: ignore,
			ImportStateIdFunc: func(*terraformState) (string, error) {
				return w.named("a").ID + "/" + w.named("a").Secrets[0].ID, nil
			},
		},
		resource.TestStep{
			ResourceName:            secretAddress,
			ImportState:             true,
			ImportStateVerify:       true,
			ImportStateVerifyIgnore: ignore,
			ImportStateId:           "a/" + s1.Hint(),
		},
		resource.TestStep{
			PreConfig: func() { // gone outside: made again
				a := w.named("a")
				_, err := w.Admin().DeleteSecret(t.Context(), a.ID, a.Secrets[0].ID, false, 0)
				require.NoError(t, err)
			},
			Config:           w.withSecret(s2, 1, ""),
			ConfigPlanChecks: planned(secretAddress, plancheck.ResourceActionCreate),
			Check:            does(func() { require.True(t, w.works(s2)) }),
		},
		resource.TestStep{
			Config: w.config(`resource "svcauth_service_account" "a" { name = "a" }`),
			Check:  does(func() { require.Empty(t, w.named("a").Secrets) }),
		},
	)
}

// TestSecretOfAnotherAccountIsAnotherSecret checks that a secret belongs to one
// account. Another account's is another secret, and the first one's is removed.
func TestSecretOfAnotherAccountIsAnotherSecret(t *testing.T) {
	w := newWorld(t)
	a, b := w.Account("a"), w.Account("b")
	s := svcauth.NewSecret()
	secretOf := func(label, id string) string {
		return fmt.Sprintf(`
			resource "svcauth_service_account_secret" %q {
				service_account_id = %q
				client_secret_wo = %q
				client_secret_wo_version = 1
			}
			`, label, id, s.Reveal())
	}
	text := func(id string) string { return w.config("%s", secretOf("s", id)) }
	run(t,
		resource.TestStep{Config: text(a.ID), Check: does(func() { require.Len(t, w.named("a").Secrets, 2) })},
		resource.TestStep{
			Config:           text(b.ID),
			ConfigPlanChecks: planned(secretAddress, plancheck.ResourceActionReplace),
			Check: does(func() {
				require.Len(t, w.named("a").Secrets, 1)
				require.Len(t, w.named("b").Secrets, 2)
			}),
		},
		// The same secret once more is refused, and nothing is added.
		resource.TestStep{Config: text(b.ID) + secretOf("twice", b.ID),
			ExpectError: regexp.MustCompile(`(?s)has\s+this\s+secret\s+already.*import`)},
		resource.TestStep{Config: text(b.ID), Check: does(func() { require.Len(t, w.named("b").Secrets, 2) })},
	)
}

// An imported secret is not rotated by the first apply, which only notes the
// version.
func TestImportedSecretIsNotRotated(t *testing.T) {
	w := newWorld(t)
	a := w.Account("a")
	text := func(version int) string {
		return w.config(`
			import {
				to = svcauth_service_account_secret.s
				id = "a/%s"
			}
			resource "svcauth_service_account_secret" "s" {
				service_account_id = %q
				client_secret_wo = %q
				client_secret_wo_version = %d
			}`, a.Secrets[0].ID, a.ID, svcauth.NewSecret().Reveal(), version)
	}
	run(t, resource.TestStep{
		Config: text(7),
		Check: resource.ComposeTestCheckFunc(
			resource.TestCheckResourceAttr(secretAddress, "client_secret_wo_version", "7"),
			resource.TestCheckResourceAttr(secretAddress, "id", a.Secrets[0].ID),
			does(func() { require.True(t, w.works(a.ClientSecret)) })),
	})
}

// consumer fetches tokens all the while, each with the newest secret that it
// knows of which works.
type consumer struct {
	w       *world
	mu      sync.Mutex
	secrets []svcauth.Secret // the ones that it may try, newest first
	tokens  atomic.Int64
	failed  []string
}

func (c *consumer) knows(secrets ...svcauth.Secret) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.secrets = secrets
}

// follow tries until ctx ends: of two secrets that it was given during a
// rotation one must work at every moment. What it knows changes between two
// tries only: a secret may be deleted as soon as it does not know it any more.
func (c *consumer) follow(ctx context.Context, id string) {
	for ctx.Err() == nil {
		c.try(id)
		time.Sleep(5 * time.Millisecond)
	}
}

func (c *consumer) try(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []string
	for _, secret := range c.secrets {
		source, err := tokensource.New(tokensource.Config{
			TokenURL:     c.w.URL + "/oauth2/token",
			ClientID:     id,
			ClientSecret: secret,
			MaxRetries:   -1,
		})
		if err == nil {
			_, err = source.Token(context.Background())
			_ = source.Close()
		}
		if err == nil {
			c.tokens.Add(1)
			return
		}
		errs = append(errs, err.Error())
	}
	c.failed = append(c.failed, fmt.Sprint(errs))
}

// TestRotationHasNoMomentWithoutASecret checks that a rotation adds before it
// takes away. A client that tries the old secret first and then the new one
// always gets a token.
func TestRotationHasNoMomentWithoutASecret(t *testing.T) {
	w := newWorld(t)
	s1, s2, s3 := svcauth.NewSecret(), svcauth.NewSecret(), svcauth.NewSecret()
	c := &consumer{w: w}
	ctx, stop := context.WithCancel(t.Context())
	var done sync.WaitGroup
	atLeast := func(n int64) {
		from := c.tokens.Load()
		require.Eventually(t, func() bool { return c.tokens.Load() >= from+n }, 30*time.Second, 10*time.Millisecond)
	}
	run(t,
		resource.TestStep{Config: w.withSecret(s1, 1, ""), Check: does(func() {
			c.knows(s1)
			id := w.named("a").ID
			done.Go(func() { c.follow(ctx, id) })
			atLeast(5)
			c.knows(s1, s2)
		})},
		// Without keep_previous_for: the old one is gone as soon as the new one
		// is there.
		resource.TestStep{
			Config:           w.withSecret(s2, 2, ""),
			ConfigPlanChecks: planned(secretAddress, plancheck.ResourceActionUpdate),
			Check: resource.ComposeTestCheckFunc(
				resource.TestCheckResourceAttr(secretAddress, "hint", s2.Hint()),
				resource.TestCheckResourceAttr(secretAddress, "previous.#", "0"), does(func() {
					c.knows(s2)
					atLeast(5)
					require.False(t, w.works(s1))
				})),
		},
		// With it: both work, the old one until its time is over.
		resource.TestStep{
			Config:           w.withSecret(s3, 3, `keep_previous_for = "1h"`),
			ConfigPlanChecks: planned(secretAddress, plancheck.ResourceActionUpdate),
			Check: resource.ComposeTestCheckFunc(
				resource.TestCheckResourceAttr(secretAddress, "previous.#", "1"),
				resource.TestCheckResourceAttr(secretAddress, "previous.0.hint", s2.Hint()), does(func() {
					atLeast(5)
					require.True(t, w.works(s3))
					for _, s := range w.named("a").Secrets {
						if s.Hint == s2.Hint() {
							require.WithinDuration(t, time.Now().Add(time.Hour), *s.ExpiresAt, 10*time.Minute)
						} else {
							require.Nil(t, s.ExpiresAt)
						}
					}
				})),
		},
		resource.TestStep{
			PreConfig: func() { // the previous one is gone: a later read drops it, and plans nothing
				c.knows(s3)
				a := w.named("a")
				for _, s := range a.Secrets {
					if s.Hint == s2.Hint() {
						_, err := w.Admin().DeleteSecret(t.Context(), a.ID, s.ID, false, 0)
						require.NoError(t, err)
					}
				}
			},
			Config: w.withSecret(svcauth.NewSecret(), 3, `keep_previous_for = "1h"`),
			Check: resource.ComposeTestCheckFunc(resource.TestCheckResourceAttr(secretAddress, "previous.#", "0"),
				does(func() {
					atLeast(5)
					stop()
					done.Wait()
				})),
		},
	)
	require.Empty(t, c.failed)
	t.Logf("%d tokens were fetched meanwhile", c.tokens.Load())
}

// Destroying takes the overlap's secrets along.
func TestDestroyTakesPreviousSecretsAlong(t *testing.T) {
	w := newWorld(t)
	s1, s2 := svcauth.NewSecret(), svcauth.NewSecret()
	keep := "keep_previous_for = \"1h\"\nrevoke_tokens = true"
	var token string
	run(t,
		resource.TestStep{
			Config: w.withSecret(s1, 1, keep),
			Check:  does(func() { token = w.Token(w.named("a").ID, s1, "") }),
		},
		resource.TestStep{Config: w.withSecret(s2, 2, keep), Check: does(func() {
			require.Len(t, w.named("a").Secrets, 2)
			require.True(t, w.Active(w.named("a").ID, s2, token))
		})},
		resource.TestStep{
			Config: w.config(`resource "svcauth_service_account" "a" { name = "a" }`),
			Check: does(func() {
				a := w.named("a")
				require.Empty(t, a.Secrets)
				s3, err := w.Admin().CreateSecret(t.Context(), a.ID, svcauth.NewSecretRequest{})
				require.NoError(t, err)
				require.False(t, w.Active(a.ID, s3.ClientSecret, token), "revoke_tokens")
			}),
		},
	)
}
