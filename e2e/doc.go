// Package e2e tests whole clusters: real processes of the real binary, which is
// built once, real sockets on loopback, real disks, real SIGKILL.
//
//	go test ./e2e                                   everything, two to three minutes on two cores
//	go test ./e2e -rounds 50 -timeout 1h            fifty crash rounds in place of three
//	go test ./e2e -ginkgo.focus 'crash|killed' -ginkgo.v
//
// What each suite proves, and how long it takes:
//
//   - quickstart_test.go, 4 s: the command that a newcomer types serves a file of 700
//     KB through every gateway, byte for byte; a durable cluster in one process comes
//     back after SIGKILL; an occupied port is named.
//   - crash_test.go, 20 s a round: five processes, 2,000 keys written through all
//     gateways while one is killed at a random moment; once `dyschord status` says that
//     the cluster is repaired a second is killed; then all at once, and all start
//     again. After each step every acknowledged key is read, with its value, through
//     every gateway that lives. Each round draws its victims and moments anew.
//     Writers fail over: measured, no write failed for longer than a second.
//   - membership_test.go, 50 s: nodes join and leave under load; no acknowledged key is
//     lost, no write fails for longer than ten seconds (measured: none fails). With
//     two nodes the loss of one stops writes, which say so, and its return resumes
//     them. With two of three paused, nothing is acknowledged.
//   - refusal_test.go, 4 s: whatever cannot work is refused in one line with the exit
//     code that scripts rely on, and nothing is lost: settings, ports, data
//     directories, other clusters, identifiers taken twice, bootstrap peers that do not
//     answer.
//   - disk_linux_test.go, 6 s, needs root: a disk that is full refuses writes and keeps
//     what it has.
//   - teaching_test.go, 10 s: the commands of docs/teaching.md do what it shows.
//
// Nodes run with heartbeats of 250 ms, four times the default rate, so that failures
// are noticed within about a second. Nothing here sleeps: conditions are polled, with
// deadlines. When a test fails, the end of every node's log is printed.
package e2e
