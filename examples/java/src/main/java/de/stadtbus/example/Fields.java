package de.stadtbus.example;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** A record's Avro bytes, cut into those of its top-level fields; nothing is decoded. */
final class Fields {
    private static final JsonPrimitive NULL = new JsonPrimitive("null");

    final List<String> names = new ArrayList<>();
    private final List<JsonElement> types = new ArrayList<>();
    private final Map<String, JsonElement> named = new HashMap<>();

    Fields(JsonObject schema) {
        for (JsonElement field : schema.getAsJsonArray("fields")) {
            names.add(field.getAsJsonObject().get("name").getAsString());
            types.add(field.getAsJsonObject().get("type"));
        }
        types.forEach(this::define);
    }

    /** Returns each field's bytes as the source wrote them. */
    List<byte[]> split(byte[] data) throws Refused {
        return cut(data, types);
    }

    /** Returns each field's bytes as the source wrote them from a feed's data; null if withheld. */
    List<byte[]> splitFeed(byte[] data, List<Boolean> given) throws Refused {
        List<byte[]> pieces = cut(data, types.stream().map(Fields::onFeed).toList());
        List<byte[]> contents = new ArrayList<>();
        for (int n = 0; n < pieces.size(); n++) {
            boolean same = isNullable(types.get(n));
            boolean none = Arrays.equals(pieces.get(n), withheld(types.get(n)));
            if (given.get(n) ? none && !same : !none) {
                throw new Refused("altered");
            }
            int branch = same || types.get(n).isJsonArray() ? 0 : 1;
            byte[] piece = pieces.get(n);
            contents.add(given.get(n) ? Arrays.copyOfRange(piece, branch, piece.length) : null);
        }
        return contents;
    }

    private List<byte[]> cut(byte[] data, List<JsonElement> wanted) throws Refused {
        List<byte[]> pieces = new ArrayList<>();
        Reader reader = new Reader(data);
        try {
            for (JsonElement type : wanted) {
                int start = reader.at;
                reader.skip(type);
                pieces.add(Arrays.copyOfRange(data, start, reader.at));
            }
        } catch (IndexOutOfBoundsException cutOff) {
            throw new Refused("bad-data");
        }
        if (reader.at != data.length) {
            throw new Refused("bad-data");
        }
        return pieces;
    }

    private static JsonElement onFeed(JsonElement type) {
        if (isNullable(type)) {
            return type;
        }
        JsonArray union = new JsonArray();
        if (type.isJsonArray()) {
            union.addAll(type.getAsJsonArray());
        } else {
            union.add(type);
        }
        union.add(NULL);
        return union;
    }

    private static byte[] withheld(JsonElement type) {
        if (type.equals(NULL)) {
            return new byte[0];
        }
        JsonArray branches = onFeed(type).getAsJsonArray();
        int at = 0;
        while (!branches.get(at).equals(NULL)) {
            at++;
        }
        return new byte[] {(byte) (at << 1)}; // enough for unions of up to 64 branches
    }

    private static boolean isNullable(JsonElement type) {
        return type.equals(NULL)
                || type.isJsonArray() && type.getAsJsonArray().contains(NULL);
    }

    private void define(JsonElement type) {
        if (type.isJsonArray()) {
            type.getAsJsonArray().forEach(this::define);
        } else if (type.isJsonObject()) {
            JsonObject object = type.getAsJsonObject();
            if (object.has("name")) {
                named.put(object.get("name").getAsString(), object);
            }
            for (String inner : List.of("type", "items", "values")) {
                if (object.has(inner)) {
                    define(object.get(inner));
                }
            }
            if (object.has("fields")) {
                object.getAsJsonArray("fields").forEach(this::define);
            }
        }
    }

    private final class Reader {
        private final byte[] data;
        private int at;

        Reader(byte[] data) {
            this.data = data;
        }

        void skip(JsonElement type) {
            if (type.isJsonArray()) {
                skip(type.getAsJsonArray().get(Math.toIntExact(number())));
                return;
            }
            JsonObject object = type.isJsonObject() ? type.getAsJsonObject() : new JsonObject();
            JsonElement kind = type.isJsonObject() ? object.get("type") : type;
            if (!kind.isJsonPrimitive()) {
                skip(kind);
                return;
            }
            switch (kind.getAsString()) {
                case "null" -> { }
                case "boolean" -> forward(1);
                case "int", "long", "enum" -> number();
                case "float" -> forward(4);
                case "double" -> forward(8);
                case "bytes", "string" -> forward(number());
                case "fixed" -> forward(object.get("size").getAsLong());
                case "record" -> object.getAsJsonArray("fields")
                        .forEach(field -> skip(field.getAsJsonObject().get("type")));
                case "array" -> blocks(() -> skip(object.get("items")));
                case "map" -> blocks(() -> {
                    forward(number());
                    skip(object.get("values"));
                });
                default -> skip(named.get(kind.getAsString()));
            }
        }

        private void blocks(Runnable item) {
            for (long count = number(); count != 0; count = number()) {
                if (count < 0) {
                    forward(number()); // such a block says how many bytes it has
                }
                for (; count > 0; count--) {
                    item.run();
                }
            }
        }

        private void forward(long bytes) {
            if (bytes < 0 || bytes > data.length - at) {
                throw new IndexOutOfBoundsException();
            }
            at += (int) bytes;
        }

        private long number() {
            long value = 0;
            for (int shift = 0; ; shift += 7) {
                byte next = data[at++];
                value |= (long) (next & 0x7F) << shift;
                if (next >= 0) {
                    return value >>> 1 ^ -(value & 1);
                }
                if (shift > 63) {
                    throw new IndexOutOfBoundsException();
                }
            }
        }
    }
}
