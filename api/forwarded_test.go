package api

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// What a request says of its way is believed as far as each hop's own address
// is that of a trusted proxy, for addresses and for TLS alike.
func TestWhoForwardsIsBelievedHopByHop(t *testing.T) {
	believed := newProxies([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48"), netip.MustParsePrefix("::ffff:172.16.0.0/108")})
	for name, test := range map[string]struct {
		peer, addresses, schemes string // lines of a header are separated by |
		client                   string
		tls                      bool
	}{
		"nothing said":                      {"192.0.2.1:5", "", "", "192.0.2.1", false},
		"by a stranger":                     {"192.0.2.1:5", "198.51.100.1", "https", "192.0.2.1", false},
		"by a proxy":                        {"10.0.0.1:5", "198.51.100.1", "https", "198.51.100.1", true},
		"by a proxy, without TLS":           {"10.0.0.1:5", "198.51.100.1", "http", "198.51.100.1", false},
		"by a proxy, addresses only":        {"10.0.0.1:5", "198.51.100.1", "", "198.51.100.1", false},
		"by a proxy, scheme only":           {"10.0.0.1:5", "", "HTTPS", "10.0.0.1", true},
		"two that add":                      {"10.0.0.1:5", "198.51.100.1, 10.0.0.2", "https, http", "198.51.100.1", true},
		"two that add, outside without TLS": {"10.0.0.1:5", "198.51.100.1, 10.0.0.2", "http, https", "198.51.100.1", false},
		"two that add, no spaces":           {"10.0.0.1:5", "198.51.100.1,10.0.0.2", "https,http", "198.51.100.1", true},
		"two that add, in lines":            {"10.0.0.1:5", "198.51.100.1|10.0.0.2", "https|http", "198.51.100.1", true},
		"two, scheme passed on":             {"10.0.0.1:5", "198.51.100.1, 10.0.0.2", "https", "198.51.100.1", true},
		"a client's lies before one":        {"10.0.0.1:5", "10.9.9.9, 198.51.100.1", "https, http", "198.51.100.1", false},
		"a client's lies before two":        {"10.0.0.1:5", "10.9.9.9, 198.51.100.1, 10.0.0.2", "http, https, http", "198.51.100.1", true},
		"a second proxy not believed":       {"10.0.0.1:5", "198.51.100.1, 192.0.2.7", "https, http", "192.0.2.7", false},
		"passed on as a client wrote it":    {"10.0.0.1:5", "203.0.113.9", "https", "203.0.113.9", true}, // which a proxy that is named must not do
		"proxies only":                      {"10.0.0.1:5", "10.0.0.3, 10.0.0.2", "https, http", "10.0.0.3", true},
		"no address at all":                 {"10.0.0.1:5", "unknown", "https", "10.0.0.1", true},
		"no address on the way":             {"10.0.0.1:5", "198.51.100.1, unknown, 10.0.0.2", "https, http, http", "10.0.0.2", false},
		"with ports":                        {"10.0.0.1:5", "198.51.100.1:40000, 10.0.0.2:9", "https, http", "198.51.100.1", true},
		"IPv6":                              {"[2001:db8:1::1]:5", "2001:db8::7", "https", "2001:db8::7", true},
		"IPv6 in brackets":                  {"[2001:db8:1::1]:5", "[2001:db8::7]", "https", "2001:db8::7", true},
		"IPv6 with a port":                  {"[2001:db8:1::1]:5", "[2001:db8::7]:443", "https", "2001:db8::7", true},
		"IPv4 in IPv6":                      {"[::ffff:10.0.0.1]:5", "::ffff:198.51.100.1", "https", "198.51.100.1", true},
		"a range of IPv4 in IPv6":           {"172.17.0.1:5", "198.51.100.1", "https", "198.51.100.1", true},
		"a unix socket":                     {"@", "198.51.100.1", "https", "", false},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.RemoteAddr = test.peer
		for header, lines := range map[string]string{"X-Forwarded-For": test.addresses, "X-Forwarded-Proto": test.schemes} {
			if lines != "" {
				r.Header[header] = strings.Split(lines, "|")
			}
		}
		if client, _ := believed.client(r); client != test.client {
			t.Errorf("%s: the client is %q, want %q", name, client, test.client)
		}
		if tls := believed.overTLS(r); tls != test.tls {
			t.Errorf("%s: over TLS: %v, want %v", name, tls, test.tls)
		}
	}
}
