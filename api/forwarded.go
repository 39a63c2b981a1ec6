package api

import (
	"iter"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// proxies are the address ranges of reverse proxies that are believed.
type proxies []netip.Prefix

// newProxies takes ranges as they were configured. Those of IPv4 written in IPv6
// (::ffff:10.0.0.0/104) become what they mean.
func newProxies(ranges []netip.Prefix) proxies {
	all := make(proxies, 0, len(ranges))
	for _, r := range ranges {
		if mapped := r.Bits() - 96; r.Addr().Is4In6() && mapped >= 0 {
			r = netip.PrefixFrom(r.Addr().Unmap(), mapped)
		}
		all = append(all, r)
	}
	return all
}

func (p proxies) trust(a netip.Addr) bool {
	return slices.ContainsFunc(p, func(r netip.Prefix) bool { return r.Contains(a.WithZone("")) })
}

// client finds the address that a request came from: that of the connection,
// or, as long as that is a proxy's, what the proxy says of its own connection, the last
// entry of X-Forwarded-For, and so on to the left. What is no address ends the
// way: then the last proxy stands for its clients. through is how many proxies
// the request came through. An address that cannot be told is empty.
func (p proxies) client(r *http.Request) (address string, through int) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return "", 0
	}
	from := peer.Addr().Unmap()
	if !p.trust(from) {
		return from.String(), 0
	}
	through = 1
	for _, entry := range slices.Backward(slices.Collect(entries(r.Header["X-Forwarded-For"]))) {
		hop, ok := parseHop(entry)
		if !ok {
			break
		}
		if from = hop; !p.trust(from) {
			break
		}
		through++
	}
	return from.String(), through
}

// overTLS reports whether a request came to the first of its proxies over TLS. Some
// proxies put their own connection's scheme into X-Forwarded-Proto, others add
// it at the end as they do with addresses: from the end, the entry of the first proxy
// is as far away as that proxy. Where there are fewer, some have passed on what
// they got, and the leftmost is the nearest to the client.
func (p proxies) overTLS(r *http.Request) bool {
	schemes := slices.Collect(entries(r.Header["X-Forwarded-Proto"]))
	if len(schemes) == 0 {
		return false
	}
	_, through := p.client(r)
	return through > 0 && strings.EqualFold(schemes[max(0, len(schemes)-through)], "https")
}

// entries are the members of a list in a header, which may be in several lines
// (RFC 9110 section 5.6.1).
func entries(lines []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range lines {
			for entry := range strings.SplitSeq(line, ",") {
				if entry = strings.TrimSpace(entry); entry != "" && !yield(entry) {
					return
				}
			}
		}
	}
}

// parseHop reads an address as proxies write it: bare, in brackets, or with a port.
func parseHop(entry string) (netip.Addr, bool) {
	if a, err := netip.ParseAddrPort(entry); err == nil {
		return a.Addr().Unmap(), true
	}
	if inner, ok := strings.CutPrefix(entry, "["); ok {
		entry = strings.TrimSuffix(inner, "]")
	}
	a, err := netip.ParseAddr(entry)
	return a.Unmap(), err == nil
}
