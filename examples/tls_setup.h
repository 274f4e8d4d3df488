/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_setup.h - for tls_records.c: what OpenSSL needs before there is a connection, and the client. */
#ifndef EXAMPLES_TLS_SETUP_H
#define EXAMPLES_TLS_SETUP_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>

/* The words of a stream of records that goes over to TLS; each with its NUL. */
#define TLS_REQUEST "STARTTLS"
#define TLS_YES "YES"
enum { TLS_HEARTBEAT_BYTES = 64 };

/* A server with a certificate that was made just now, in memory, and that it signed itself. */
SSL_CTX *tls_server(void);
/* Free it by SSL_free(). */
SSL *tls_on(SSL_CTX *context, int fd);

/* Sends so many records of TLS_HEARTBEAT_BYTES on a blocking socket, each after the last one's answer. False: an answer was wrong. */
bool tls_client_run(int fd, bool tls, unsigned heartbeats);
/* Asks for TLS, and sends another record in plaintext with it. */
void tls_client_inject(int fd);

__attribute__((noreturn)) void tls_give_up(const char *what);

#endif
