// Package gateway serves the key-value store, and views of the cluster, over HTTP.
// Every node has one, and each can serve every key.
//
// [New] makes a [Gateway] over a [Backend], which is all that it needs from the node.
// It has two handlers: Public for clients; and Admin for operators, which serves the
// same and, beyond it, leaving and profiles. Server wraps a handler into an
// http.Server with the time-outs that keep slow clients from holding on to it.
//
// # Routes
//
//	GET HEAD PUT DELETE /v1/kv/KEY    values (items.go)
//	GET /v1/node /v1/ring /v1/table   this node, the cluster, the routing table (views.go)
//	GET /v1/lookup/KEY, ?id=HEX       who is responsible, and the way there
//	GET /livez /readyz[?verbose]      the process answers; the node serves
//	GET /metrics /                    Prometheus; a page of links
//	POST /v1/node/leave               admin handler: hand over and end
//	GET /debug/pprof/                 admin handler: profiles
//
// Listing, watching, batches, time to live, conditions on writes, waiting and stale
// reads are named and refused with status 501: a parameter that was ignored would be
// a promise broken.
//
// # Keys
//
// Every string of 1 to 1,024 bytes is a key. What follows /v1/kv/ in the path, as it
// stands in the request line, is unescaped once; nothing is cleaned. That is why there
// is no http.ServeMux here: it takes a//b for a/b and x/../y for y.
//
// # Errors
//
// Every error is a problem document (RFC 9457), whose type ends with its code. For a
// write it says what became of it: outcome not_applied, or unknown, which a program
// resolves by reading before it writes again; so retryable is never true for it. An
// outcome is called unknown unless the error of the node rules that out.
//
//	400 bad_parameter, empty_key          413 value_too_large
//	401 unauthorized                      414 key_too_long
//	403 forbidden, cross_origin           421 misdirected_request
//	404 key_not_found, no_such_route      415 unsupported_encoding
//	405 method_not_allowed                416 bad_range
//	408 request_timeout                   429 too_many_requests
//	409 not_member                        503 not_member (not yet)
//	411 length_required                   500 internal   501 not_implemented
//	412 precondition_failed (reads)       503 unavailable, leaving
//	504 outcome_unknown, timeout          507 no_room
//
// What net/http itself refuses before a handler sees it (a malformed request line, a
// header of more than 64 KiB) is answered in its own words.
//
// # Limits
//
// Requests in flight and the bytes of their bodies are bounded; more are turned away
// at once with 429 and Retry-After, so that a gateway under load answers quickly what
// it answers. The length of a value holds while it is read. A client has a time to
// send its header, its body, and to take the answer. Health checks and metrics pass
// when requests are turned away.
//
// # Values and browsers
//
// A value comes back with the type it was given. So that a page stored as a value
// cannot act in the name of the gateway's origin, values are sent with a sandbox
// policy and nosniff. Pages of other origins are let in only if CORSOrigin says so;
// what changes something is refused when the browser says that another page sent it.
// On a loopback listener without tokens, names other than localhost are refused, lest
// a page have its own name resolve to this machine (origin.go). A proxy in front of
// such a listener sends the listener's address as Host, or a token.
package gateway
