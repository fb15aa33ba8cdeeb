"""Empty modules in place of torch and its kin, which trainers import beside the code that makes tokens of rows."""

import importlib.machinery
import sys
import types

HEAVY = {
    "accelerate", "bitsandbytes", "deepspeed", "flash_attn", "liger_kernel", "modelscope", "peft", "psutil", "torch",
    "torchao", "torchaudio", "torchdata", "torchvision", "triton", "xformers",
}  # fmt: skip


class Anything:
    """Whatever is asked of it, it is that."""

    def __init__(self, *_, **__):
        pass

    def __call__(self, *arguments, **named):
        # As a decorator it gives back what it decorates.
        return arguments[0] if len(arguments) == 1 and callable(arguments[0]) and not named else self

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()

    def __mro_entries__(self, _):
        return (object,)

    def __getitem__(self, _):
        return self

    def __or__(self, _):
        return self

    __ror__ = __or__

    def __ge__(self, _):
        return True

    __gt__ = __ge__

    def __lt__(self, _):
        return False

    __le__ = __lt__

    def __iter__(self):
        return iter(())

    def __hash__(self):
        return 0

    def __eq__(self, _):
        return False


class Stub(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        methods = {"__class_getitem__": classmethod(lambda one, _: one), "__init__": lambda *_, **__: None}
        made = type(name, (), methods) if name[:1].isupper() else Anything()
        setattr(self, name, made)
        return made


class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in HEAVY:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        module = Stub(spec.name)
        module.__path__, module.__version__ = [], "2.9.0"
        return module

    def exec_module(self, module):
        pass


def install():
    # These must see that torch is not there.
    import datasets  # noqa: F401
    import transformers  # noqa: F401
    from transformers import DataCollatorForSeq2Seq, LogitsProcessorList  # noqa: F401

    sys.meta_path.append(Finder())
