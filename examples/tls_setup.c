/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_setup.c - see tls_setup.h. The client does no checking of the certificate: it was made a moment ago, by the same program. */
#include "tls_setup.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { MARKER_BYTES = 4, RECORD_BYTES_MAX = 256, HOUR_S = 3600 };

void tls_give_up(const char *what)
{
    fprintf(stderr, "tls_records: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

/* ---- the server's ---- */

static X509 *make_certificate(EVP_PKEY *key)
{
    static const unsigned char name[] = "localhost";
    X509 *certificate = X509_new();
    if (certificate == NULL || X509_set_version(certificate, 2) != 1 || ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) != 1)
        tls_give_up("a certificate");
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), HOUR_S);
    X509_NAME *subject = X509_get_subject_name(certificate);
    if (X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, name, -1, -1, 0) != 1 || X509_set_issuer_name(certificate, subject) != 1
        || X509_set_pubkey(certificate, key) != 1 || X509_sign(certificate, key, EVP_sha256()) == 0)
        tls_give_up("a certificate");
    return certificate;
}

SSL_CTX *tls_server(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    if (context == NULL || key == NULL)
        tls_give_up("a key");
    X509 *certificate = make_certificate(key);
    if (SSL_CTX_use_certificate(context, certificate) != 1 || SSL_CTX_use_PrivateKey(context, key) != 1)
        tls_give_up("a certificate and its key");
    X509_free(certificate);
    EVP_PKEY_free(key);
    return context;
}

/* Partial writes, because the writer goes on where a write ended; a moving buffer, because it makes its pieces anew each time. */
SSL *tls_on(SSL_CTX *context, int fd)
{
    SSL *ssl = SSL_new(context);
    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
        tls_give_up("a connection");
    SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return ssl;
}

/* ---- the client ---- */

struct client {
    int fd;
    SSL *ssl; /* NULL: in plaintext */
};

static bool send_all(const struct client *client, const unsigned char *from, size_t bytes)
{
    if (client->ssl != NULL)
        return SSL_write(client->ssl, from, (int)bytes) == (int)bytes;
    return send(client->fd, from, bytes, MSG_NOSIGNAL) == (ssize_t)bytes;
}

static bool receive_all(const struct client *client, unsigned char *to, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        ssize_t got = client->ssl != NULL ? SSL_read(client->ssl, to + at, (int)(bytes - at)) : recv(client->fd, to + at, bytes - at, 0);
        if (got <= 0)
            return false;
        at += (size_t)got;
    }
    return true;
}

static size_t make_record(unsigned char *to, const void *data, size_t bytes)
{
    uint32_t marker = htonl(UINT32_C(0x80000000) | (uint32_t)bytes);
    memcpy(to, &marker, MARKER_BYTES);
    memcpy(to + MARKER_BYTES, data, bytes);
    return MARKER_BYTES + bytes;
}

/* True: @answer came back, as one record. */
static bool ask(const struct client *client, const void *data, size_t bytes, const void *answer, size_t answer_bytes)
{
    unsigned char sent[MARKER_BYTES + RECORD_BYTES_MAX], got[sizeof sent];
    if (!send_all(client, sent, make_record(sent, data, bytes)))
        return false;
    size_t expected = make_record(sent, answer, answer_bytes);
    return receive_all(client, got, expected) && memcmp(sent, got, expected) == 0;
}

static bool heartbeats_of(const struct client *client, unsigned count)
{
    unsigned char heartbeat[TLS_HEARTBEAT_BYTES];
    bool well = true;
    for (unsigned i = 0; i < count && well; i++) {
        memset(heartbeat, (int)i, sizeof heartbeat);
        well = ask(client, heartbeat, sizeof heartbeat, heartbeat, sizeof heartbeat);
    }
    return well;
}

bool tls_client_run(int fd, bool tls, unsigned heartbeats)
{
    struct client client = { fd, NULL };
    if (!tls)
        return heartbeats_of(&client, heartbeats);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    bool well = context != NULL && ask(&client, TLS_REQUEST, sizeof TLS_REQUEST, TLS_YES, sizeof TLS_YES);
    if (well) {
        client.ssl = tls_on(context, fd);
        well = SSL_connect(client.ssl) == 1 && heartbeats_of(&client, heartbeats);
        SSL_shutdown(client.ssl);
        SSL_free(client.ssl);
    }
    SSL_CTX_free(context);
    return well;
}

void tls_client_inject(int fd)
{
    unsigned char both[2 * (MARKER_BYTES + RECORD_BYTES_MAX)];
    size_t bytes = make_record(both, TLS_REQUEST, sizeof TLS_REQUEST);
    bytes += make_record(both + bytes, "believe me", 10);
    if (send(fd, both, bytes, MSG_NOSIGNAL) != (ssize_t)bytes)
        tls_give_up("sending");
}
