package store

import "time"

// Millis is a point in time as the database keeps it: milliseconds since the
// Unix epoch, UTC. Zero means "not yet".
type Millis int64

// MillisOf converts t, dropping what is below a millisecond.
func MillisOf(t time.Time) Millis { return Millis(t.UnixMilli()) }

// Time converts back, in UTC.
func (m Millis) Time() time.Time { return time.UnixMilli(int64(m)).UTC() }

// Append appends m as RFC 3339 in UTC with milliseconds, the form used on the wire.
func (m Millis) Append(dst []byte) []byte {
	return m.Time().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
}
