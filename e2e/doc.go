// Package e2e tests whole clusters: real processes of the real binary, which is
// built once, real sockets on loopback, real disks, real SIGKILL.
//
//	go test ./e2e                                   everything, three to four minutes on two cores
//	go test ./e2e -rounds 50 -timeout 2h            fifty crash rounds with each algorithm in place of one
//	go test ./e2e -ginkgo.focus 'crash|killed' -ginkgo.v
//	go test ./e2e -ginkgo.focus '\(kademlia\)'       what runs on one algorithm
//
// A suite in which nodes find each other runs once for every algorithm, with the same
// demands: one setting is all that differs. What each proves, and how long it takes
// with one algorithm:
//
//   - quickstart_test.go, 5 s: the command that a newcomer types serves a file of 700
//     KB through every gateway, byte for byte; a durable cluster in one process comes
//     back after SIGKILL. Once: an occupied port is named.
//   - crash_test.go, 20 s a round: five processes, 2,000 keys written through all
//     gateways while one is killed at a random moment; once `dyschord status` says that
//     the cluster is repaired a second is killed; then all at once, and all start
//     again. After each step every acknowledged key is read, with its value, through
//     every gateway that lives. Each round draws its victims and moments anew.
//     Writers fail over: measured, no write failed for longer than a second.
//   - membership_test.go, 25 s: nodes join and leave under load; no acknowledged key is
//     lost, no write fails for longer than ten seconds (measured: none fails). With
//     two nodes the loss of one stops writes, which say so, and its return resumes
//     them. With two of three paused, nothing is acknowledged.
//   - refusal_test.go, 1 s: an identifier taken twice, and a node of another algorithm,
//     which is told both names. Once, 2 s: whatever else cannot work is refused in one
//     line with the exit code that scripts rely on, and nothing is lost: settings,
//     ports, data directories, other clusters, bootstrap peers that do not answer.
//   - disk_linux_test.go, 3 s, needs root: a disk that is full refuses writes and keeps
//     what it has.
//   - teaching_test.go, once, 15 s: the commands of docs/teaching.md do what it shows.
//
// Nodes run with heartbeats of 250 ms, four times the default rate, so that failures
// are noticed within about a second. Nothing here sleeps: conditions are polled, with
// deadlines. When a test fails, the end of every node's log is printed.
package e2e
