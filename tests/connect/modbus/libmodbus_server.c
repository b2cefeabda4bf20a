/* A Modbus server made with libmodbus (LGPL), for tests: an implementation that is not ours and not pymodbus.

   libmodbus_server tcp PORT | rtu DEVICE BAUD PARITY UNIT

   Prints "ready PORT". Reads commands from standard input, one a line, and answers each with one line:
     set TABLE START VALUE...    get TABLE START COUNT    requests (how many arrived since the last asking)
   Holding and input registers 0..399, coils and discrete inputs 0..2199. Registers 0 and 1 count tenths of a second.
   Refused with an exception: holding 200..202 (2, no such address), 210 (4, failure), 220 (6, busy), input 300 and above (2);
   unit 9 never answers; unit 10 answers 11 (gateway target silent); unit 11 has no coils and no functions 5, 6 and 22 (1). */

#include <errno.h>
#include <modbus/modbus.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <time.h>
#include <unistd.h>

static modbus_mapping_t *map;
static long requests;

static int overlaps(int from, int count, int first, int last) { return from <= last && from + count - 1 >= first; }

static int refusal(const uint8_t *pdu, int unit) {
    int function = pdu[0], from = pdu[1] << 8 | pdu[2], count = pdu[3] << 8 | pdu[4];
    if (function == 5 || function == 6 || function == 22) count = 1;
    if (unit == 10) return 11;
    if (unit == 11 && (function == 1 || function == 5 || function == 6 || function == 22)) return MODBUS_EXCEPTION_ILLEGAL_FUNCTION;
    if (function == 4 && overlaps(from, count, 300, 65535)) return MODBUS_EXCEPTION_ILLEGAL_DATA_ADDRESS;
    if (function == 3 || function == 6 || function == 16 || function == 22) {
        if (overlaps(from, count, 200, 202)) return MODBUS_EXCEPTION_ILLEGAL_DATA_ADDRESS;
        if (overlaps(from, count, 210, 210)) return MODBUS_EXCEPTION_SLAVE_OR_SERVER_FAILURE;
        if (overlaps(from, count, 220, 220)) return MODBUS_EXCEPTION_SLAVE_OR_SERVER_BUSY;
    }
    return 0;
}

static void tick(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    uint32_t tenths = (uint32_t)(t.tv_sec * 10 + t.tv_nsec / 100000000);
    map->tab_registers[0] = map->tab_input_registers[0] = tenths & 0xFFFF;
    map->tab_registers[1] = map->tab_input_registers[1] = (tenths * 7) & 0xFFFF;
}

static void serve(modbus_t *ctx, int (*receive)(modbus_t *, uint8_t *)) {
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    int n = receive(ctx, query);
    if (n <= 0) {
        if (n == -1 && (errno == ECONNRESET || errno == EBADF)) modbus_close(ctx);
        return;
    }
    int header = modbus_get_header_length(ctx), unit = query[header - 1], code = refusal(query + header, unit);
    requests++;
    if (unit == 9) return;
    tick();
    if (code) modbus_reply_exception(ctx, query, code);
    else modbus_reply(ctx, query, n, map);
}

static void command(void) {
    char line[8192], *rest, *word, *table;
    if (!fgets(line, sizeof line, stdin)) exit(0);
    word = strtok_r(line, " \n", &rest);
    if (word && !strcmp(word, "requests")) {
        printf("%ld\n", requests);
        requests = 0;
    } else if (word && (table = strtok_r(NULL, " \n", &rest))) {
        int bits = table[0] == 'c' || table[0] == 'd', at = atoi(strtok_r(NULL, " \n", &rest));
        uint8_t *b = table[0] == 'c' ? map->tab_bits : map->tab_input_bits;
        uint16_t *r = table[0] == 'h' ? map->tab_registers : map->tab_input_registers;
        if (!strcmp(word, "set")) {
            for (char *v; (v = strtok_r(NULL, " \n", &rest)); at++)
                if (bits) b[at] = (uint8_t)atoi(v);
                else r[at] = (uint16_t)atoi(v);
            printf("ok\n");
        } else {
            for (int n = atoi(strtok_r(NULL, " \n", &rest)); n > 0; n--, at++) printf("%d ", bits ? b[at] : r[at]);
            printf("\n");
        }
    }
    fflush(stdout);
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdin, NULL, _IONBF, 0);
    int tcp = !strcmp(argv[1], "tcp");
    modbus_t *ctx = tcp ? modbus_new_tcp("127.0.0.1", atoi(argv[2])) : modbus_new_rtu(argv[2], atoi(argv[3]), argv[4][0], 8, 1);
    map = modbus_mapping_new(2200, 2200, 400, 400);
    if (!ctx || !map) return 3;
    int listener = -1, top, port = 0;
    fd_set all;
    FD_ZERO(&all);
    FD_SET(0, &all);
    if (tcp) {
        struct sockaddr_in a;
        socklen_t size = sizeof a;
        listener = modbus_tcp_listen(ctx, 5);
        if (listener == -1 || getsockname(listener, (struct sockaddr *)&a, &size)) return 4;
        port = ntohs(a.sin_port);
    } else {
        modbus_set_slave(ctx, atoi(argv[5]));
        if (modbus_connect(ctx)) return 5;
        listener = modbus_get_socket(ctx);
    }
    FD_SET(listener, &all);
    top = listener;
    printf("ready %d\n", port);
    fflush(stdout);
    for (;;) {
        fd_set ready = all;
        if (select(top + 1, &ready, NULL, NULL, NULL) < 0) return 6;
        for (int fd = 0; fd <= top; fd++) {
            if (!FD_ISSET(fd, &ready)) continue;
            if (fd == 0) command();
            else if (tcp && fd == listener) {
                int s = accept(listener, NULL, NULL);
                if (s >= 0) {
                    FD_SET(s, &all);
                    if (s > top) top = s;
                }
            } else if (!tcp) serve(ctx, modbus_receive);
            else {
                char c;
                if (recv(fd, &c, 1, MSG_PEEK) <= 0) {
                    close(fd);
                    FD_CLR(fd, &all);
                } else {
                    modbus_set_socket(ctx, fd);
                    serve(ctx, modbus_receive);
                }
            }
        }
    }
}
