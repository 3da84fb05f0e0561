/* uWebSockets as an echo and fan-out server, through the C interface that the Python package
 * socketify carries as a shared library. There is no header to include, so the parts of that
 * interface that are used are declared here, as the package declares them for its own use.
 *
 * uws --listen 127.0.0.1:PORT [--deflate] [--tls-cert FILE --tls-key FILE]
 * uws --version
 */
#include <arpa/inet.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

typedef struct uws_app_s uws_app_t;
typedef struct uws_req_s uws_req_t;
typedef struct uws_res_s uws_res_t;
typedef struct uws_socket_context_s uws_socket_context_t;
typedef struct uws_websocket_s uws_websocket_t;
struct us_listen_socket_t;

typedef enum { DISABLED = 0, SHARED_COMPRESSOR = 1, SHARED_DECOMPRESSOR = 1 << 8 } compress_options;
typedef enum { TEXT = 1, BINARY = 2 } uws_opcode_t;
typedef enum { BACKPRESSURE, SUCCESS, DROPPED } uws_sendstatus_t;

/* All zero without TLS. */
struct us_socket_context_options_t {
    const char *key_file_name, *cert_file_name, *passphrase, *dh_params_file_name;
    const char *ca_file_name, *ssl_ciphers;
    int ssl_prefer_low_memory_usage;
};

typedef struct {
    int port;
    const char *host;
    int options;
} listen_config;

typedef struct {
    compress_options compression;
    unsigned int max_payload_length;
    unsigned short idle_timeout;
    unsigned int max_backpressure;
    bool close_on_backpressure_limit;
    bool reset_idle_timeout_on_send;
    bool send_pings_automatically;
    unsigned short max_lifetime;
    void (*upgrade)(uws_res_t *, uws_req_t *, uws_socket_context_t *, void *);
    void (*open)(uws_websocket_t *, void *);
    void (*message)(uws_websocket_t *, const char *, size_t, uws_opcode_t, void *);
    void (*drain)(uws_websocket_t *, void *);
    void (*ping)(uws_websocket_t *, const char *, size_t, void *);
    void (*pong)(uws_websocket_t *, const char *, size_t, void *);
    void (*close)(uws_websocket_t *, int, const char *, size_t, void *);
    void (*subscription)(uws_websocket_t *, const char *, size_t, int, int, void *);
} socket_behavior;

/* The library reads this by value, so its layout has to be that of the library. */
_Static_assert(offsetof(socket_behavior, idle_timeout) == 8, "layout of the behaviour");
_Static_assert(offsetof(socket_behavior, max_lifetime) == 20, "layout of the behaviour");
_Static_assert(offsetof(socket_behavior, upgrade) == 24, "layout of the behaviour");
_Static_assert(sizeof(socket_behavior) == 88, "layout of the behaviour");

uws_app_t *uws_create_app(int ssl, struct us_socket_context_options_t options);
bool uws_constructor_failed(int ssl, uws_app_t *app);
void uws_app_listen_with_config(
    int ssl, uws_app_t *app, listen_config config,
    void (*handler)(struct us_listen_socket_t *, listen_config, void *), void *user_data);
void uws_app_run(int ssl, uws_app_t *app);
int us_socket_local_port(int ssl, struct us_listen_socket_t *socket);
void uws_ws(int ssl, uws_app_t *app, const char *pattern, socket_behavior behavior, void *data);
void *uws_ws_get_user_data(int ssl, uws_websocket_t *ws);
uws_sendstatus_t uws_ws_send_with_options(
    int ssl, uws_websocket_t *ws, const char *message, size_t length, uws_opcode_t opcode,
    bool compress, bool fin);
bool uws_ws_subscribe(int ssl, uws_websocket_t *ws, const char *topic, size_t length);
bool uws_ws_publish_with_options(
    int ssl, uws_websocket_t *ws, const char *topic, size_t topic_length, const char *message,
    size_t length, uws_opcode_t opcode, bool compress);
bool uws_publish(
    int ssl, uws_app_t *app, const char *topic, size_t topic_length, const char *message,
    size_t length, uws_opcode_t opcode, bool compress);
size_t uws_req_get_url(uws_req_t *request, const char **dest);
size_t uws_req_get_header(uws_req_t *request, const char *name, size_t length, const char **dest);
size_t uws_req_get_query(uws_req_t *request, const char *key, size_t length, const char **dest);
void uws_res_upgrade(
    int ssl, uws_res_t *response, void *data, const char *key, size_t key_length,
    const char *protocol, size_t protocol_length, const char *extensions,
    size_t extensions_length, uws_socket_context_t *context);
const char *uv_version_string(void);

enum { MAX_MESSAGE = 16 << 20, MAX_BACKPRESSURE = 1 << 30, IDLE_SECONDS = 960 };

/* The state of a connection to a topic; freed at its end. */
struct place {
    bool subscribes;
    size_t length;
    char name[];
};

static bool deflate = false;
/* The first argument of every function: 1 with TLS, which the library has from BoringSSL. */
static int tls = 0;

static void echo(
    uws_websocket_t *ws, const char *message, size_t length, uws_opcode_t opcode, void *data)
{
    (void)data;
    uws_ws_send_with_options(tls, ws, message, length, opcode, deflate, true);
}

static void topic_upgrade(
    uws_res_t *response, uws_req_t *request, uws_socket_context_t *context, void *data)
{
    (void)data;
    const char *url, *key, *protocol, *extensions, *role;
    size_t url_length = uws_req_get_url(request, &url);
    size_t key_length = uws_req_get_header(request, "sec-websocket-key", 17, &key);
    size_t protocol_length = uws_req_get_header(request, "sec-websocket-protocol", 22, &protocol);
    size_t extensions_length =
        uws_req_get_header(request, "sec-websocket-extensions", 24, &extensions);
    size_t role_length = uws_req_get_query(request, "role", 4, &role);
    struct place *place = malloc(sizeof *place + url_length);
    if (!place)
        abort();
    place->subscribes = role_length == 3 && memcmp(role, "sub", 3) == 0;
    place->length = url_length;
    memcpy(place->name, url, url_length);
    uws_res_upgrade(
        tls, response, place, key, key_length, protocol, protocol_length, extensions,
        extensions_length, context);
}

static void topic_open(uws_websocket_t *ws, void *data)
{
    (void)data;
    struct place *place = uws_ws_get_user_data(tls, ws);
    if (place->subscribes)
        uws_ws_subscribe(tls, ws, place->name, place->length);
}

static void topic_message(
    uws_websocket_t *ws, const char *message, size_t length, uws_opcode_t opcode, void *app)
{
    struct place *place = uws_ws_get_user_data(tls, ws);
    /* A subscriber publishes to all but itself; others can only publish through the server. */
    if (place->subscribes)
        uws_ws_publish_with_options(
            tls, ws, place->name, place->length, message, length, opcode, deflate);
    else
        uws_publish(tls, app, place->name, place->length, message, length, opcode, deflate);
}

static void topic_close(
    uws_websocket_t *ws, int code, const char *message, size_t length, void *data)
{
    (void)code, (void)message, (void)length, (void)data;
    free(uws_ws_get_user_data(tls, ws));
}

static void listening(struct us_listen_socket_t *socket, listen_config config, void *data)
{
    (void)data;
    if (!socket) {
        fprintf(stderr, "cannot listen on %s:%d; try port 0\n", config.host, config.port);
        exit(1);
    }
    printf("listening on %s:%d\n", config.host, us_socket_local_port(tls, socket));
    fflush(stdout);
}

static int usage(const char *wrong)
{
    fprintf(stderr, "%s\nusage: --listen ADDR:PORT [--deflate] [--tls-cert FILE --tls-key FILE], or --version\n", wrong);
    return 1;
}

/* ADDR:PORT, cut at the colon. */
static bool split_address(char *text, listen_config *config)
{
    char *colon = strrchr(text, ':'), *end;
    struct in_addr address;
    if (!colon)
        return false;
    *colon = 0;
    long port = strtol(colon + 1, &end, 10);
    if (inet_pton(AF_INET, text, &address) != 1 || end == colon + 1 || *end)
        return false;
    if (port < 0 || port > 65535)
        return false;
    config->host = text;
    config->port = (int)port;
    return true;
}

int main(int argc, char **argv)
{
    listen_config config = {0};
    struct us_socket_context_options_t certificate = {0};
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--version")) {
            printf(
                "uWebSockets 20 (of 2024, from socketify " SOCKETIFY_VERSION
                "; epoll through libuv %s)\n",
                uv_version_string());
            return 0;
        }
        if (!strcmp(argv[i], "--deflate"))
            deflate = true;
        else if (!strcmp(argv[i], "--tls-cert") && i + 1 < argc)
            certificate.cert_file_name = argv[++i];
        else if (!strcmp(argv[i], "--tls-key") && i + 1 < argc)
            certificate.key_file_name = argv[++i];
        else if (strcmp(argv[i], "--listen") || ++i == argc || !split_address(argv[i], &config))
            return usage("an argument is wrong, or an address is no ADDR:PORT");
    }
    if (!config.host)
        return usage("no address to listen on");
    if (!certificate.cert_file_name != !certificate.key_file_name)
        return usage("a certificate and its key go together");
    tls = certificate.cert_file_name != NULL;
    struct rlimit files;
    if (!getrlimit(RLIMIT_NOFILE, &files)) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    uws_app_t *app = uws_create_app(tls, certificate);
    if (!app || uws_constructor_failed(tls, app)) {
        fprintf(stderr, "the library made no server; build it again with uws/build.sh\n");
        return 1;
    }
    socket_behavior behavior = {
        .compression = deflate ? SHARED_COMPRESSOR | SHARED_DECOMPRESSOR : DISABLED,
        .max_payload_length = MAX_MESSAGE,
        .idle_timeout = IDLE_SECONDS,
        .max_backpressure = MAX_BACKPRESSURE,
        .message = echo,
    };
    socket_behavior topic = behavior;
    topic.upgrade = topic_upgrade;
    topic.open = topic_open;
    topic.message = topic_message;
    topic.close = topic_close;
    uws_ws(tls, app, "/topics/*", topic, app);
    uws_ws(tls, app, "/*", behavior, NULL);
    uws_app_listen_with_config(tls, app, config, listening, NULL);
    uws_app_run(tls, app);
    return 0;
}
