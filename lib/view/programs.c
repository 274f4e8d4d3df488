/* SPDX-License-Identifier: BSD-2-Clause */
/* programs.c - names of well-known RPC programs. */
#include "config.h"

#include "ullage/procedures.h"

const char *ullage_program_name(uint32_t program)
{
    /* Assigned by IANA (rpc-program-numbers); those of glusterfs by itself, in protocol-common.h. */
    static const struct {
        uint32_t program;
        const char *name;
    } known[] = {
        { 100000, "portmapper" }, { 100003, "nfs" }, { 100005, "mountd" }, { 100011, "rquota" }, { 100021, "nlm" },
        { 100024, "status" }, { 100227, "nfs_acl" }, { 1238433, "gluster-peers" }, { 1238463, "gluster-cli" },
        { 1298433, "gluster-mgmt" }, { 1298437, "glusterfs" }, { 4867634, "gluster-brick" }, { 14398633, "gluster-hndsk" },
        { 34123456, "gluster-pmap" }, { 52743234, "gluster-cbk" }, { 123451501, "gluster-dump" },
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].program == program)
            return known[i].name;
    return NULL;
}
