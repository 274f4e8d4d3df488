#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Runs one bats file as TAP for automake. The Makefile sets ULLAGE, PRELOAD, BUILD, SOURCE and BATS.
exec "$BATS" --tap "$@"
