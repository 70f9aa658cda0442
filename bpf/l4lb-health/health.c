// SPDX-License-Identifier: GPL-2.0
/*
 * Asks backends of the load balancer whether they answer, and says in lb_health
 * which do not: health CONFIG. What lb_health says when it starts holds until the
 * answers say otherwise, so that it can be started anew at any time.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <time.h>
#include "config.h"

#define EVENTS	64

static int poller;
static volatile sig_atomic_t ending;

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 1000ull + now.tv_nsec / 1000000;
}

static void end(int signal)
{
	ending = signal;
}

/* Finds the backend again where it has moved, or come. */
static int locate(struct check *c)
{
	int index = target_index(&c->target, c->index);

	if (index != c->index) {
		c->index = index;
		c->streak = 0;
		c->down = index >= 0 && is_down(index);
	}
	return index >= 0;
}

static void say(struct check *c, int down)
{
	if (set_down(c->index, down) < 0) {
		fprintf(stderr, "%s: cannot be marked %s: %s\n", c->name, down ? "down" : "up",
			strerror(errno));
		return;
	}
	c->down = down;
	printf("%s is %s\n", c->name, down ? "down" : "up");
	fflush(stdout);
}

/* What a question came to. */
static void conclude(struct check *c, int answered)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	if (!locate(c))
		return;
	if (answered == !c->down) {
		c->streak = 0;
		return;
	}
	if (++c->streak < (answered ? c->rise : c->fall))
		return;
	c->streak = 0;
	say(c, !answered);
}

static void await(struct check *c, uint32_t events, int operation)
{
	struct epoll_event event = { .events = events, .data.ptr = c };

	c->events = events;
	if (epoll_ctl(poller, operation, c->fd, &event))
		conclude(c, 0);
}

static void ask(struct check *c, uint64_t now)
{
	int type = c->kind == CHECK_UDP_ECHO ? SOCK_DGRAM : SOCK_STREAM;

	c->received = 0;
	c->until = now + c->timeout;
	c->fd = socket(c->peer.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return;		/* no fault of the backend's */
	if (connect(c->fd, (struct sockaddr *)&c->peer, c->peer_length) && errno != EINPROGRESS) {
		conclude(c, 0);
		return;
	}
	if (c->kind != CHECK_UDP_ECHO) {
		await(c, EPOLLOUT, EPOLL_CTL_ADD);
		return;
	}
	c->nonce = now << 16 ^ (uint64_t)(uintptr_t)c ^ c->nonce * 0x9e3779b97f4a7c15ull;
	if (send(c->fd, &c->nonce, sizeof(c->nonce), 0) != sizeof(c->nonce)) {
		conclude(c, 0);
		return;
	}
	await(c, EPOLLIN, EPOLL_CTL_ADD);
}

/* The connection is there, or is not to be had. */
static void connected(struct check *c)
{
	char request[700];
	int error = 0, length;
	socklen_t size = sizeof(error);

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size) || error) {
		conclude(c, 0);
		return;
	}
	if (c->kind == CHECK_TCP) {
		conclude(c, 1);
		return;
	}
	length = snprintf(request, sizeof(request),
			  "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: l4lb-health\r\n"
			  "Connection: close\r\n\r\n", c->path, c->host);
	if (send(c->fd, request, length, MSG_NOSIGNAL) != length)
		conclude(c, 0);
	else
		await(c, EPOLLIN, EPOLL_CTL_MOD);
}

static void answered(struct check *c)
{
	ssize_t got = recv(c->fd, c->answer + c->received, sizeof(c->answer) - 1 - c->received, 0);
	int status;

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (c->kind == CHECK_UDP_ECHO) {
		conclude(c, got == sizeof(c->nonce) && !memcmp(c->answer, &c->nonce, got));
		return;
	}
	if (got > 0)
		c->received += got;
	c->answer[c->received] = 0;
	if (sscanf(c->answer, "HTTP/1.%*1[01] %3d", &status) == 1 && c->received >= 13)
		conclude(c, status >= 200 && status < 400);
	else if (got <= 0 || c->received >= sizeof(c->answer) - 1)
		conclude(c, 0);
}

/* The time of a backend that is draining is over. */
static void drained(struct check *c, uint64_t now)
{
	if (!locate(c)) {
		c->due = now + 1000;
		return;
	}
	if (!c->down)
		say(c, 1);
	c->due = UINT64_MAX;
}

/* Does what is due, and returns how long nothing will be. */
static int turn(void)
{
	uint64_t now = now_ms(), next = now + 1000;
	struct check *c;
	size_t i;

	for (i = 0; i < check_count; i++) {
		c = &checks[i];
		if (c->fd >= 0 && c->until <= now)
			conclude(c, 0);
		if (c->fd < 0 && c->due <= now) {
			if (c->kind == DRAIN) {
				drained(c, now);
			} else {
				c->due = now + c->interval;
				ask(c, now);
			}
		}
		if (c->due < next)
			next = c->due;
		if (c->fd >= 0 && c->until < next)
			next = c->until;
	}
	return next > now ? next - now : 0;
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS];
	struct sigaction action = { .sa_handler = end };
	uint64_t now = now_ms();
	struct check *c;
	int count, i;
	size_t nth;

	if (argc != 2)
		die("usage: health CONFIG");
	read_config(argv[1]);
	poller = epoll_create1(EPOLL_CLOEXEC);
	if (poller < 0)
		die("epoll: %s", strerror(errno));
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	for (nth = 0; nth < check_count; nth++) {
		c = &checks[nth];
		locate(c);
		/* not all at once; a drain from when it is told */
		c->due = now + (c->kind == DRAIN ? c->interval : c->interval * nth / check_count);
	}
	while (!ending) {
		count = epoll_wait(poller, events, EVENTS, turn());
		for (i = 0; i < count; i++) {
			c = events[i].data.ptr;
			if (c->fd < 0)
				continue;
			if (c->events == EPOLLOUT)
				connected(c);
			else
				answered(c);
		}
	}
	return 0;
}
