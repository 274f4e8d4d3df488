// SPDX-License-Identifier: BSD-2-Clause

// pool.go - the works of bench/pool.c by Go's sync.Pool, as a variant of that program: bench/pool.sh builds it and hands it
// to `ullage bench run`, which starts it in turn with the others. What a variant is asked and answers is in
// bench/harness/harness.h. Works that it does not have are skipped.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

const (
	burstCount = 512
	ringSlots  = 256
	ringSpins  = 1000
)

// A buffer is handed about by a pointer to its slice, as is usual: a slice in an interface would be copied to the heap.
func poolOf(size int) *sync.Pool {
	return &sync.Pool{New: func() any {
		buffer := make([]byte, size)
		return &buffer
	}}
}

func getPut(size int) func(int) {
	pool := poolOf(size)
	return func(count int) {
		for i := 0; i < count; i++ {
			buffer := pool.Get().(*[]byte)
			pool.Put(buffer)
		}
	}
}

func burst(size int) func(int) {
	pool := poolOf(size)
	held := make([]*[]byte, burstCount)
	return func(count int) {
		for left := count; left > 0; left -= burstCount {
			most := burstCount
			if left < most {
				most = left
			}
			for i := 0; i < most; i++ {
				held[i] = pool.Get().(*[]byte)
			}
			for i := 0; i < most; i++ {
				pool.Put(held[i])
			}
		}
	}
}

// The ring of bench/ring.h.
type end struct {
	next  uint64
	other uint64
	_     [112]byte
}

type ring struct {
	in, out end
	slots   [ringSlots]*[]byte
}

func wait(spins *int) {
	*spins++
	if *spins%ringSpins == 0 {
		runtime.Gosched()
	}
}

func (r *ring) put(buffer *[]byte) {
	at, spins := r.in.next, 0
	for at-r.in.other == ringSlots {
		r.in.other = atomic.LoadUint64(&r.out.next)
		if at-r.in.other == ringSlots {
			wait(&spins)
		}
	}
	r.slots[at%ringSlots] = buffer
	atomic.StoreUint64(&r.in.next, at+1)
}

func (r *ring) get() *[]byte {
	at, spins := r.out.next, 0
	for at == r.out.other {
		r.out.other = atomic.LoadUint64(&r.in.next)
		if at == r.out.other {
			wait(&spins)
		}
	}
	buffer := r.slots[at%ringSlots]
	atomic.StoreUint64(&r.out.next, at+1)
	return buffer
}

var sum byte // what was read goes somewhere

func read(memory []byte) {
	var all byte
	for at := 0; at < len(memory); at += 8 {
		all += memory[at]
	}
	sum += all
}

// A processor each: both are masks of one bit, as the first two processors will do for two threads.
func standApart(thread uint) {
	runtime.LockOSThread()
	mask := [16]uint64{1 << thread}
	syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(mask), uintptr(unsafe.Pointer(&mask)))
}

func handover(size, written int) func(int) {
	pool := poolOf(size)
	r := new(ring)
	page := make([]byte, written)
	return func(count int) {
		done := make(chan struct{})
		go func() {
			standApart(1)
			for i := 0; i < count; i++ {
				buffer := r.get()
				read((*buffer)[:written])
				pool.Put(buffer)
			}
			close(done)
		}()
		standApart(0)
		for i := 0; i < count; i++ {
			buffer := pool.Get().(*[]byte)
			copy(*buffer, page[:written])
			r.put(buffer)
		}
		<-done
	}
}

type work struct {
	run     func(int)
	threads int
}

func workOf(name string) (work, bool) {
	switch name {
	case "get_put/65536":
		return work{getPut(65536), 1}, true
	case "get_put/1048576":
		return work{getPut(1048576), 1}, true
	case "get_put/16777216":
		return work{getPut(16777216), 1}, true
	case "burst_65536":
		return work{burst(65536), 1}, true
	case "handover/threads:2":
		return work{handover(65536, 0), 2}, true
	case "handover_4096/threads:2":
		return work{handover(65536, 4096), 2}, true
	}
	return work{}, false
}

func (w work) time(iterations int) int64 {
	begun := time.Now()
	w.run(iterations * w.threads)
	return time.Since(begun).Nanoseconds()
}

// More and more iterations until they take as long as is wanted.
func (w work) calibrate(wanted int64) int {
	iterations := 1
	for {
		took := w.time(iterations)
		if took >= wanted {
			return iterations
		}
		more := int64(iterations) * 100
		if took > 0 && wanted*int64(iterations)*6/5/took < more {
			more = wanted*int64(iterations)*6/5/took + 1
		}
		iterations = int(more)
	}
}

func main() {
	var fd, iterations int
	var wanted int64
	var pass, name string
	request := os.Getenv("ULLAGE_BENCH_CHILD")
	if got, _ := fmt.Sscan(request, &fd, &pass, &iterations, &wanted, &name); got < 5 {
		fmt.Fprintln(os.Stderr, "pool.go: run it as a variant of bench_pool: see bench/pool.sh")
		os.Exit(1)
	}
	driver := os.NewFile(uintptr(fd), "driver")
	fmt.Fprintf(driver, "hello\nbuild %s\nflags \noptimized 1\nallocator sync.Pool\n", runtime.Version())
	w, known := workOf(name)
	switch {
	case !known:
		fmt.Fprintln(driver, "skip not a work for sync.Pool")
	case pass == "calibrate":
		iterations = w.calibrate(wanted)
	case pass == "time":
		w.time(iterations/10 + 1)
		took := w.time(iterations)
		fmt.Fprintf(driver, "metric ns/op -1 0 %f\n", float64(took)/float64(iterations)/float64(w.threads))
	}
	if known && w.threads > 1 {
		fmt.Fprintf(driver, "threads %d\n", w.threads)
	}
	fmt.Fprintf(driver, "iterations %d\nend\n", iterations)
}
