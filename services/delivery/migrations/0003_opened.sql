-- Whether the sealed part has opened, or its key is still on its way: what nobody could check gives way to what opens.
ALTER TABLE deliveries ADD COLUMN opened boolean NOT NULL DEFAULT true;
ALTER TABLE logins ADD COLUMN opened boolean NOT NULL DEFAULT true;
