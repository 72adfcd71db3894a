package signaling

import "testing"

func TestDemands(t *testing.T) {
	for text, want := range map[string]string{
		"pow: 28 bits needed":                           "proof of work",
		"POW: difficulty 0 is less than 20":             "proof of work",
		"auth-required: we only serve members":          "authentication",
		"restricted: not on the list":                   "permission",
		"restricted: sign up and pay 5000 sats":         "payment",
		"payment-required: see our site":                "payment",
		"blocked: pubkey not admitted, pay the invoice": "payment",
		"blocked: this relay is for paid members":       "payment",
		"blocked: you are banned":                       "",
		"blocked: too many subscriptions":               "",
		"blocked: no payload of this kind":              "",
		"rate-limited: slow down":                       "",
		"error: pow service is down":                    "",
		"invalid: bad signature":                        "",
		"please pay":                                    "",
		"":                                              "",
	} {
		d, ok := demandOf(text)
		if ok != (want != "") || d.wants != want {
			t.Errorf("%q demands %q, %t; want %q", text, d.wants, ok, want)
		}
	}
	if rateLimited("rate-limited") || !rateLimited("Rate-Limited: 3 a second") {
		t.Error("rate limits are not understood")
	}
}
